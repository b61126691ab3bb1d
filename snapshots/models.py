"""Keep a row for each UTC day. NULL = not known, 0 = counted none."""

from __future__ import annotations

from datetime import date

from django.db import models


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    def between(self, first: date, last: date) -> SnapshotQuerySet:
        """Return the UTC days `first` to `last`, inclusive."""
        return self.filter(day__gte=first, day__lte=last)

    def whole(self) -> SnapshotQuerySet:
        """Return taken days on which every image was counted: an image missing there had 0 containers."""
        return self.filter(source=Snapshot.Source.TAKEN, total_apps__isnull=False)


class Snapshot(models.Model):
    """The network as read after 00:05 UTC of the day. The ledger has the day's revenue.

    Columns have the names of the previous tracker. RAM and storage are GB.
    """

    class Source(models.TextChoices):
        TAKEN = "taken"
        BACKFILLED = "backfilled", "from the ledger and the history of node counts"
        IMPORT = "import", "from the tracker that was replaced"
        SIMULATED = "simulated", "simulated"

    day = models.DateField(unique=True)
    source = models.CharField(max_length=10, choices=Source)
    made_at = models.DateTimeField(help_text="When this row was written.")
    read_at = models.DateTimeField(null=True, blank=True, help_text="The oldest reading it rests on.")
    flux_price_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True, blank=True)
    node_cumulus = models.PositiveIntegerField(null=True, blank=True)
    node_nimbus = models.PositiveIntegerField(null=True, blank=True)
    node_stratus = models.PositiveIntegerField(null=True, blank=True)
    node_total = models.PositiveIntegerField(null=True, blank=True)
    total_cpu_cores = models.FloatField(null=True, blank=True)
    used_cpu_cores = models.FloatField(null=True, blank=True)
    total_ram_gb = models.FloatField(null=True, blank=True)
    used_ram_gb = models.FloatField(null=True, blank=True)
    total_storage_gb = models.FloatField(null=True, blank=True)
    used_storage_gb = models.FloatField(null=True, blank=True)
    total_apps = models.PositiveIntegerField(null=True, blank=True)
    watchtower_count = models.PositiveIntegerField(null=True, blank=True)
    gitapps_count = models.PositiveIntegerField(null=True, blank=True)
    dockerapps_count = models.PositiveIntegerField(null=True, blank=True)
    gaming_apps_total = models.PositiveIntegerField(null=True, blank=True)
    crypto_nodes_total = models.PositiveIntegerField(null=True, blank=True)
    wordpress_count = models.PositiveIntegerField(null=True, blank=True)
    counts = models.JSONField(default=dict, help_text="Tracked apps by `gaming_...` and `crypto_...` key.")

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return self.day.isoformat()


class ImageDay(models.Model):
    """Containers that ran an image on a day."""

    day = models.DateField()
    image = models.CharField(max_length=255, help_text="Without its tag.")
    category = models.CharField(max_length=10, blank=True)
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "day"], name="image_day")]
        indexes = [models.Index(fields=["day", "category"], name="image_day_category")]

    def __str__(self) -> str:
        return f"{self.day} {self.image}"


class Refusal(models.Model):
    """Why a day's snapshot could not be taken, according to the day's last check."""

    day = models.DateField(primary_key=True)
    reason = models.CharField(max_length=500)
    attempts = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return f"{self.day}: {self.reason}"


class WarmComparison(models.Model):
    """A precomputed comparison, and the stamp of its data."""

    period = models.CharField(max_length=1, primary_key=True, help_text="D, W, M, Q or Y.")
    stamp = models.CharField(max_length=64)
    answer = models.JSONField()
    made_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.period
