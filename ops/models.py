"""Store leases, tasks and their runs, jobs, service checks, alerts, tokens and the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from django.db import models

from fluxtracker.database import compiled_once
from ops.status import Status, task_failing

ALERT_AFTER = 3  # consecutive failures (docs/contract.md#schedule)


class Lease(models.Model):
    """Current holder of the right to run the named task. Taken and renewed by conditional UPDATEs (ops.leases)."""

    name = models.CharField(max_length=50, primary_key=True)
    holder = models.CharField(max_length=200, blank=True, help_text="host:pid:process start:token, empty when free")
    taken_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name}: {self.holder or 'free'}"


class TaskState(models.Model):
    """State of a task over all its runs."""

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
        return self.consecutive_failures >= ALERT_AFTER

    @property
    def health(self) -> str:
        """Return `failed` after three failures in a row, `never` before a run has ended."""
        if not (self.last_success_at or self.last_failure_at):
            return "never"
        return "failed" if self.alerting else "failing" if self.consecutive_failures else "ok"

    @property
    def reported_file(self) -> str | None:
        return (self.last_report or {}).get("file")

    @property
    def failing(self) -> Status:
        return task_failing(self.name, self.consecutive_failures, self.last_error)

    @classmethod
    def of(cls, name: str, known: Mapping[str, Self] | None = None) -> Self:
        """Return the state of a task, even if it never ran. `known`: all states by name, already loaded."""
        state = cls.objects.filter(name=name).first() if known is None else known.get(name)
        return state or cls(name=name)

    @classmethod
    def by_name(cls) -> dict[str, TaskState]:
        return {state.name: state for state in _states()}


_states = compiled_once(lambda: TaskState.objects.order_by("name"))


class TaskRun(models.Model):
    """One run of a task."""

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
    """When a Celery worker was last seen alive."""

    hostname = models.CharField(max_length=200, primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "workers seen"

    def __str__(self) -> str:
        return self.hostname


class ServiceState(models.Model):
    """The state of a checked service: an upstream, or the running instances of a tracked app."""

    class Kind(models.TextChoices):
        API = "api", "upstream API"
        GAMING = "gaming", "game"
        CRYPTO = "crypto", "crypto node"

    class Status(models.TextChoices):
        OK = "ok"
        DEGRADED = "degraded"  # slow or behind; fell by more than half
        MISSING = "missing"  # no instance is left
        FAILED = "failed"  # no answer, or a wrong one
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

    @property
    def keeps_failing(self) -> bool:
        return self.consecutive_failures >= ALERT_AFTER


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


class Job(models.Model):
    """A task requested through the API or the admin. Runs on a worker, survives restarts."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Failure(models.TextChoices):
        RUNNING = "running", "already running elsewhere"
        UPSTREAM = "upstream", "an upstream did not answer"
        REFUSED = "refused", "it could not be done"
        DATABASE = "database", "the database failed"
        BROKER = "broker", "the broker did not answer"
        WORKER = "worker", "its workers died or took too long"
        ERROR = "error", "an error that nobody foresaw"

    ACTIVE = (State.QUEUED, State.RUNNING)

    name = models.CharField(max_length=50)
    params = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    user = models.ForeignKey("auth.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(max_length=150, help_text="The user's name when the job was asked for.")
    via = models.CharField(max_length=10, help_text="api or admin")
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it was last given to the broker.")
    started_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="The running worker's last sign of life.")
    finished_at = models.DateTimeField(null=True, blank=True)
    holder = models.CharField(max_length=200, blank=True, help_text="host:pid:process start:token of the worker.")
    attempts = models.PositiveSmallIntegerField(default=0)
    progress = models.CharField(max_length=200, blank=True)
    cancel_asked = models.BooleanField(default=False)
    result = models.JSONField(null=True, blank=True)
    failure = models.CharField(
        max_length=10, choices=Failure, blank=True, default="", db_default="", help_text="What kind of failure it was."
    )
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            # The database rejects a second active job of the same name.
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(state__in=["queued", "running"]), name="job_active_once"
            ),
        ]
        indexes = [models.Index(fields=["state", "sent_at"], name="job_waiting")]

    def __str__(self) -> str:
        return f"{self.name} {self.created_at:%Y-%m-%d %H:%M:%S}"


class ApiToken(models.Model):
    """Lets a program act for a user. The token is shown once and not stored."""

    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=60, blank=True, help_text="What it is for.")
    prefix = models.CharField(max_length=8, help_text="The token's first letters, to tell it from others.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")

    class Meta:
        ordering = ["-id"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.user}"


class Passkey(models.Model):
    """A WebAuthn credential that signs its owner in (ops.access.passkeys). It contains no secret: the private key stays
    on the owner's device."""

    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="passkeys")
    name = models.CharField(max_length=60)
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the credential's id.")
    credential = models.TextField(help_text="Id and public key, as WebAuthn encodes them, in base64.")
    sign_count = models.BigIntegerField(help_text="The device's own count of uses; 0 where it has none.")
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(help_text="Challenges that are older do not count.")

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user}"


class SignInAttempt(models.Model):
    """A password attempt; it counts for 15 minutes unless it was right (ops.access.login)."""

    at = models.DateTimeField(db_index=True)
    client = models.CharField(max_length=45, blank=True, help_text="IPv4 address, or /64 of an IPv6 one.")
    mark = models.CharField(max_length=16, help_text="Of the name that was tried: names themselves are not kept.")
    browser = models.CharField(max_length=16, blank=True, help_text="One that has signed in by that name before.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["client", "at"], name="sign_in_client"),
            models.Index(fields=["mark", "at"], name="sign_in_mark"),
        ]

    def __str__(self) -> str:
        return f"{self.client} {self.at:%Y-%m-%d %H:%M:%S}"


class AppendOnly(Exception):
    """Rows that are neither changed nor deleted."""


class AppendOnlyQuerySet(models.QuerySet["AuditEntry"]):
    """Allows only reads and inserts. Database triggers refuse the rest too (migration 0004)."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnly("the audit log cannot be changed")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnly("the audit log cannot be deleted from")


class AuditEntry(models.Model):
    """Actions of users, including refused ones. Rows are only added."""

    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=150, blank=True, help_text="User name; empty: anonymous.")
    address = models.CharField(max_length=45, blank=True, help_text="IP address of the client; empty: this machine.")
    action = models.CharField(max_length=60)
    outcome = models.CharField(max_length=20, help_text="done, asked, refused or failed")
    detail = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor or 'anonymous'} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnly("the audit log cannot be changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnly("the audit log cannot be deleted from")


class Alert(models.Model):
    """A problem for operators: raised once, repeated at most daily, closed when resolved."""

    key = models.CharField(max_length=100, help_text="What it is about: one open alert a key.")
    message = models.CharField(max_length=500)
    raised_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="When it was last found to be so.")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When somebody was last told.")
    closed_at = models.DateTimeField(null=True, blank=True)
    recovery_sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=models.Q(closed_at=None), name="alert_open_once"),
        ]

    def __str__(self) -> str:
        return self.message

    @property
    def kind(self) -> str:
        """Return the first part of its key: `task` of `task:backup`."""
        return self.key.partition(":")[0]

    @property
    def status(self) -> Status:
        return Status("alert", since=self.raised_at, facts={"message": self.message}, key=self.key)


class AlertDelivery(models.Model):
    """Messages of one channel about one alert, sent and due (ops.alerts.sending)."""

    class Event(models.TextChoices):
        RAISED = "raised"
        REPEATED = "repeated"
        CLOSED = "closed"

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=20, help_text="email, webhook, or an address of ALERT_URLS")
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it last heard, or may have, that it is so.")
    recovery_sent_at = models.DateTimeField(null=True, blank=True)
    event = models.CharField(max_length=10, choices=Event, blank=True, default="", db_default="")
    delivery_id = models.CharField(
        max_length=36, blank=True, default="", db_default="", help_text="Of the last message; each of its tries has it."
    )
    pending = models.BooleanField(default=False, db_default=False, help_text="That message is tried again.")
    unconfirmed = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Tries of it that may have got through."
    )
    claimed_at = models.DateTimeField(null=True, blank=True, help_text="When the try under way began.")
    error = models.CharField(max_length=300, blank=True, default="", db_default="", help_text="Of the last try.")

    class Meta:
        verbose_name_plural = "alert deliveries"
        constraints = [models.UniqueConstraint(fields=["alert", "channel"], name="alert_delivery_once")]

    def __str__(self) -> str:
        return f"{self.channel}: {self.event}"


class Tally(models.Model):
    """A counter over all processes, for /metrics (ops.jobs.runs)."""

    name = models.CharField(max_length=20)
    label = models.CharField(max_length=100, help_text="The work, or the host.")
    outcome = models.CharField(max_length=20, blank=True)
    value = models.FloatField(default=0)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [models.UniqueConstraint(fields=["name", "label", "outcome"], name="tally_once")]

    def __str__(self) -> str:
        return f"{self.name} {self.label} {self.outcome}"
