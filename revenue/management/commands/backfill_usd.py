from typing import Any

from ops.base_commands import JobCommand
from revenue.jobs import backfill_usd


class Command(JobCommand):
    job = backfill_usd

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        first, last = options["first"], options["last"]
        if first and last and first > last:
            raise self.usage_error("--from must not be after --to")
        return super().work(options)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any] | None:
        if not options["force"]:
            return None
        ends = {key: options[name].isoformat() for key, name in (("from", "first"), ("to", "last")) if options[name]}
        return {"force": True, **ends, **report}
