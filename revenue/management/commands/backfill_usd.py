from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from revenue import doors


class Command(VerbCommand):
    help = "Price every payment that has no USD value yet."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return doors.backfill_usd(trigger="command", wait=LEASE_WAIT_S)
