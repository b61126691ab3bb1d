from typing import Any

from ops.alerts import services
from ops.base_commands import ReportCommand


class Command(ReportCommand):
    help = "Send a test alert to ALERT_WEBHOOK_URL and ALERT_EMAILS."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.send_test(trigger="command")
