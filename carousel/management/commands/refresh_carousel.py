from typing import Any

from carousel import services
from fluxtracker.commands import LEASE_WAIT_S, VerbCommand


class Command(VerbCommand):
    help = "Read top images, best benchmarks, apps just deployed and apps that end next."

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return services.refresh_carousel(trigger="command", wait=LEASE_WAIT_S)
