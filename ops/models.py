"""What runs, what ran, and who holds what: leases, task states and runs."""

from __future__ import annotations

from django.db import models


class Lease(models.Model):
    """Who may do the named work now. Taken and renewed by conditional UPDATEs (ops.leases)."""

    name = models.CharField(max_length=50, primary_key=True)
    holder = models.CharField(max_length=200, blank=True, help_text="host:pid:process start:token, empty when free")
    taken_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'free'}"


class TaskState(models.Model):
    """How a named piece of work stands, over all its runs."""

    name = models.CharField(max_length=50, primary_key=True)
    last_started_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    consecutive_failures = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)
    last_report = models.JSONField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name

    @property
    def alerting(self) -> bool:
        """Three failures in a row are an alert (contract section 3)."""
        return self.consecutive_failures >= 3


class TaskRun(models.Model):
    """One run of a piece of work."""

    name = models.CharField(max_length=50)
    trigger = models.CharField(max_length=20, help_text="schedule, command, admin or api")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    ok = models.BooleanField(null=True, blank=True, help_text="NULL: still running, or killed.")
    error = models.CharField(max_length=500, blank=True)
    report = models.JSONField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["name", "-started_at"], name="task_run_newest")]

    def __str__(self) -> str:
        return f"{self.name} {self.started_at:%Y-%m-%d %H:%M:%S}"


class WorkerSeen(models.Model):
    """The last sign of life of a Celery worker."""

    hostname = models.CharField(max_length=200, primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "workers seen"

    def __str__(self) -> str:
        return self.hostname


class ServiceState(models.Model):
    """How a checked service stands: an upstream, or the running instances of a tracked app."""

    class Kind(models.TextChoices):
        API = "api", "upstream API"
        GAMING = "gaming", "game"
        CRYPTO = "crypto", "crypto node"

    class Status(models.TextChoices):
        OK = "ok"
        DEGRADED = "degraded"  # answers late or is behind; fell by more than half
        MISSING = "missing"  # no instance is left
        FAILED = "failed"  # does not answer, or wrongly
        UNKNOWN = "unknown"  # the instances are not known

    kind = models.CharField(max_length=10, choices=Kind)
    name = models.CharField(max_length=100)
    status = models.CharField(max_length=10, choices=Status)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True)
    consecutive_failures = models.PositiveIntegerField(default=0)
    checked_at = models.DateTimeField()
    last_ok_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["kind", "name"]
        constraints = [models.UniqueConstraint(fields=["kind", "name"], name="service_state_name")]

    def __str__(self) -> str:
        return self.name


class ServiceCheck(models.Model):
    """One check of one service; kept for 90 days."""

    kind = models.CharField(max_length=10, choices=ServiceState.Kind)
    name = models.CharField(max_length=100)
    at = models.DateTimeField(db_index=True)
    status = models.CharField(max_length=10, choices=ServiceState.Status)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["kind", "name", "-at"], name="service_check_newest")]

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M}"
