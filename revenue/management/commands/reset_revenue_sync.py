from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from revenue import services


class Command(VerbCommand):
    help = "Restart the sync from the first block; keeps all data."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.reset_revenue_sync(trigger="command", wait=LEASE_WAIT_S)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {}
