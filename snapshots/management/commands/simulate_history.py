from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser
from django.utils import timezone
from rest_framework.serializers import IntegerField

from fluxtracker.api.fields import Whole
from fluxtracker.api.report_serializers import as_report
from ops import registry
from ops.base_commands import LEASE_WAIT_S, ReportCommand, read_by
from ops.jobs import runs
from snapshots import simulate
from snapshots.backfill import LEASE


class Command(ReportCommand):
    help = "Generate a year of demo history, marked as simulated. Works only on a simulated network."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--days", type=read_by(Whole(maximum=3650)), default=365, help="how many days back (365)")
        seed = read_by(IntegerField(min_value=0, max_value=2**31))
        parser.add_argument("--seed", type=seed, default=1, help="another seed, another past (1)")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Simulate the history. Only a command may invent numbers, no task and no API."""
        if not simulate.is_this_machine(settings.FLUX_API_URL):
            raise self.usage_error("made-up history only for a simulated network: FLUX_API_URL is not on this machine")
        with runs.run("simulate_history", lease=LEASE, trigger="command", wait=LEASE_WAIT_S) as run:
            done = simulate.simulate_history(now=timezone.now(), run=run, days=options["days"], seed=options["seed"])
            run.report = as_report(done)
        registry.changed()
        return run.report
