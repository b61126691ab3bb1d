from typing import Any

from ops.commands import JobCommand
from revenue.services import reset_revenue_sync


class Command(JobCommand):
    job = reset_revenue_sync

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {}
