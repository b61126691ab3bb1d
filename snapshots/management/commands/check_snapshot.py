from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from snapshots import services


class Command(VerbCommand):
    help = "What the schedule runs every 30 minutes: take today's snapshot if it is time and there is none."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.check_snapshot(trigger="command", wait=LEASE_WAIT_S)
