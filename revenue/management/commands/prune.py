from typing import Any

from fluxtracker.commands import LEASE_WAIT_S, VerbCommand
from revenue import services


class Command(VerbCommand):
    help = "Apply the retention policy (RETENTION_DAYS)."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.prune(trigger="command", wait=LEASE_WAIT_S, progress=self.progress)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"transactions": report["transactions"], "checks": report["checks"]}
