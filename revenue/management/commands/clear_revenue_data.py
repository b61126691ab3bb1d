from typing import Any

from ops.commands import JobCommand
from revenue.services import clear_revenue_data


class Command(JobCommand):
    job = clear_revenue_data

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"deleted": report["deleted"]}
