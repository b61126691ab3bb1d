from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from metrics import services


class Command(VerbCommand):
    help = "Read what the network is now: nodes, capacity, running apps and the price."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.collect_metrics(trigger="command", wait=LEASE_WAIT_S)
