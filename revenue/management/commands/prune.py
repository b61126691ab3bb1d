from typing import Any

from ops.commands import JobCommand
from revenue.services import prune


class Command(JobCommand):
    job = prune

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"transactions": report["transactions"], "checks": report["checks"]}
