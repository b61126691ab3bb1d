"""The three rotating lists, as they were last read."""

from __future__ import annotations

from django.db import models


class Feed(models.Model):
    """One list. A refresh that fails leaves the items as they are."""

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
