"""Store which report was sent on which channel."""

from __future__ import annotations

from django.db import models

from fluxtracker.periods import Bucket


class ReportDelivery(models.Model):
    """Delivery of one period's report to one channel (reports.sending)."""

    period = models.CharField(max_length=7, choices=[(bucket.value, bucket.value) for bucket in Bucket])
    first_day = models.DateField(help_text="Of the period.")
    channel = models.CharField(max_length=20, help_text="email, webhook, or an address of ALERT_URLS")
    delivery_id = models.CharField(max_length=36, help_text="Each try has it.")
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="When the try under way began.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it was taken, or may have been.")
    unconfirmed = models.PositiveSmallIntegerField(default=0, help_text="Tries that may have got through.")
    error = models.CharField(max_length=300, blank=True, help_text="Of the last try.")

    class Meta:
        ordering = ["-first_day", "period", "channel"]
        verbose_name_plural = "report deliveries"
        constraints = [models.UniqueConstraint(fields=["period", "first_day", "channel"], name="report_delivery_once")]

    def __str__(self) -> str:
        return f"{self.period} from {self.first_day}: {self.channel}"
