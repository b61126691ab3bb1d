from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from revenue import services


class Command(VerbCommand):
    help = "Find out which named payments are git and which docker deployments."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.backfill_app_types(trigger="command", wait=LEASE_WAIT_S)
