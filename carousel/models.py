"""Store the three rotating lists as last read."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

from fluxtracker.periods import is_fresh
from ops.status import OK, Status

LATE = timedelta(hours=2)  # two missed refreshes


class Feed(models.Model):
    """One list. A failed refresh keeps the items."""

    class Name(models.TextChoices):
        NETWORK = "network", "top images and best benchmarks"
        DEPLOYED = "deployed", "apps of the last 24 hours"
        EXPIRING = "expiring", "apps that end next"

    name = models.CharField(max_length=10, choices=Name, primary_key=True)
    items = models.JSONField(default=list)
    coverage = models.JSONField(null=True, blank=True, help_text="How many rows these items rest on.")
    read_at = models.DateTimeField(null=True, blank=True, help_text="When `items` were read.")
    tried_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, help_text="Of the last try; empty when it went well.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.get_name_display()

    def status(self, now: datetime) -> Status:
        """Return whether the list is older than two hours. One that was never read is not late."""
        if self.error:
            return Status("list_failed", since=self.tried_at)
        is_late = self.read_at is not None and not is_fresh(self.read_at, now, LATE)
        return Status("list_late", since=self.read_at) if is_late else OK
