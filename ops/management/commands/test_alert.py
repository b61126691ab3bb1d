from typing import Any

from fluxtracker.commands import ReportCommand
from ops.alerts import services


class Command(ReportCommand):
    help = "Sends a test to everybody who is told of alerts: ALERT_WEBHOOK_URL, ALERT_EMAILS."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.send_test(trigger="command")
