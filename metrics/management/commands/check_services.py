from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from metrics import services


class Command(VerbCommand):
    help = "Check that each upstream answers, and that tracked games and crypto nodes still run."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.check_services(trigger="command", wait=LEASE_WAIT_S)
