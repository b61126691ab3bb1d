"""Store facts of app messages, the resulting lives of apps, and daily sums of money, which are never deleted.

Money is integers (`_sat` satoshi, `_micro` micro-dollars), instants are UTC, `app_key` is an app's lower-case name.
NULL is not known. Specifications, and what owners wrote into them, are never stored.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from fluxtracker.database import compiled_once


class MessageFact(models.Model):
    """One permanent app message: a registration or an update (docs/upstream.md#app-messages)."""

    class Kind(models.TextChoices):
        REGISTER = "register"
        UPDATE = "update"

    class Unit(models.TextChoices):
        BLOCKS = "blocks"
        SECONDS = "seconds"

    hash = models.CharField(max_length=64, primary_key=True)
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=128)
    app_key = models.CharField(max_length=128)
    owner = models.CharField(max_length=64, null=True, help_text="NULL: the message names no address.")
    version = models.PositiveIntegerField()
    term = models.BigIntegerField(null=True, help_text="How long it runs from its block on; NULL: not known.")
    term_unit = models.CharField(max_length=7, choices=Unit, default=Unit.BLOCKS)
    instances = models.PositiveIntegerField(null=True)
    cpu_tenths = models.PositiveIntegerField(null=True, help_text="Tenths of a core, all components; NULL: encrypted.")
    ram_mb = models.PositiveIntegerField(null=True)
    hdd_gb = models.PositiveIntegerField(null=True)
    encrypted = models.BooleanField()
    images = models.JSONField(default=list, help_text="Public images of the components, in order.")
    category = models.CharField(max_length=30, help_text="As the catalogue has it now; unknown where nothing tells.")
    height = models.PositiveIntegerField()
    sent_at = models.DateTimeField(null=True, help_text="By the signer's clock.")
    txid = models.CharField(max_length=64)
    value_sat = models.BigIntegerField(null=True, help_text="What the message's payment paid, as FluxOS counted it.")
    applied = models.BooleanField(default=True, help_text="False where it is proved that the network ignored it.")

    class Meta:
        indexes = [
            models.Index(fields=["app_key", "height", "sent_at", "hash"], name="message_fact_app"),  # an app's life
            models.Index(fields=["owner", "app_key"], name="message_fact_owner"),  # an owner's apps
            models.Index(fields=["owner", "-height"], name="message_fact_newest"),  # an owner's newest payments
            models.Index(fields=["category"], name="message_fact_category"),  # affected by a catalogue change
        ]

    def __str__(self) -> str:
        return self.hash


class ChangedApp(models.Model):
    """An app whose messages changed since its life was built. Deleted in the transaction that builds it."""

    app_key = models.CharField(max_length=128, primary_key=True)

    def __str__(self) -> str:
        return self.app_key


class AppLife(models.Model):
    """State of an app by the messages that count, now or when it last ended."""

    class State(models.TextChoices):
        RUNNING = "running"  # paid until a future block
        EXPIRED = "expired"
        CANCELLED = "cancelled"
        UNKNOWN = "unknown"  # its end is not known

    app_key = models.CharField(max_length=128, primary_key=True)
    name = models.CharField(max_length=128)
    owner = models.CharField(max_length=64, null=True)
    cancelled = models.BooleanField(default=False, help_text="Whether its owner ended it.")
    category = models.CharField(max_length=30)
    image = models.CharField(max_length=255, blank=True)
    instances = models.PositiveIntegerField(null=True)
    weekly = models.BooleanField(default=False, help_text="Whether its first term is of 7 days or less.")
    registered_height = models.PositiveIntegerField(null=True)
    registered_at = models.DateTimeField(null=True)
    end_height = models.PositiveIntegerField(null=True)
    end_at = models.DateTimeField(null=True, help_text="When it ended or will end; NULL: not known.")
    balance_sat = models.BigIntegerField(default=0, help_text="Paid and not yet earned at `balance_at`.")
    balance_usd_micro = models.BigIntegerField(default=0)
    balance_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["end_at"], name="app_life_end"),  # apps in force, the renewal calendar
            models.Index(fields=["owner"], name="app_life_owner"),
            models.Index(fields=["registered_at"], name="app_life_cohort"),
        ]

    def __str__(self) -> str:
        return self.name


class AppEvent(models.Model):
    """One message in an app's life, or its end without a renewal in time, with its payment."""

    class Kind(models.TextChoices):
        NEW = "new"
        REREGISTERED = "reregistered"
        WON_BACK = "won_back"
        RENEWAL = "renewal"
        CHANGE = "change"
        SHORTENED = "shortened"
        CANCELLED = "cancelled"
        LOST = "lost"
        IGNORED = "ignored"  # does not count: not applied, or another owner's name

    app = models.ForeignKey(AppLife, on_delete=models.CASCADE, related_name="events")
    position = models.PositiveIntegerField(help_text="In the order in which they count.")
    life = models.PositiveIntegerField(help_text="1 for the app's first life, one more after each end.")
    kind = models.CharField(max_length=12, choices=Kind)
    message_hash = models.CharField(max_length=64, blank=True, help_text="Empty for a loss.")
    txid = models.CharField(max_length=64, blank=True)
    owner = models.CharField(max_length=64, null=True)
    instances = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField()
    at = models.DateTimeField()
    day = models.DateField()
    end_height = models.PositiveIntegerField(null=True, help_text="In force after it; NULL: not known.")
    end_at = models.DateTimeField(null=True)
    previous_end_at = models.DateTimeField(null=True, help_text="In force before it.")
    payments = models.PositiveIntegerField(default=0)
    revenue_sat = models.BigIntegerField(default=0)
    usd_micro = models.BigIntegerField(default=0, help_text="Sum over the priced payments.")
    priced = models.PositiveIntegerField(default=0)
    left_usd_micro = models.BigIntegerField(default=0, help_text="Paid and not yet earned after it; 0: no known end.")
    added_s = models.BigIntegerField(default=0, help_text="Seconds that it adds to the life; 0: no known end.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app", "position"], name="app_event_position")]
        indexes = [
            models.Index(fields=["end_at", "at"], name="app_event_end"),  # state at a moment
            # Kinds by day and payers, index-only; rows affected by a changed day.
            models.Index(
                fields=["day", "kind", "revenue_sat", "usd_micro", "payments", "priced", "owner", "app"],
                name="app_event_kinds",
            ),
            models.Index(fields=["message_hash"], condition=~Q(message_hash=""), name="app_event_message"),
            # Payments for unknown terms, index-only.
            models.Index(fields=["kind", "revenue_sat"], condition=Q(end_at=None), name="app_event_endless"),
        ]

    def __str__(self) -> str:
        return f"{self.app_id} {self.kind} {self.height}"


class KindDay(models.Model):
    """Messages of one kind on one UTC day, with their payments: sums of AppEvent rows."""

    day = models.DateField()
    kind = models.CharField(max_length=12, choices=AppEvent.Kind)
    messages = models.BigIntegerField()
    revenue_sat = models.BigIntegerField()
    payments = models.BigIntegerField()
    usd_micro = models.BigIntegerField(help_text="Sum over the priced payments.")
    priced = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["day", "kind"], name="kind_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.kind}"


class DailySplit(models.Model):
    """One part of a day's revenue: a class of senders, a category, an app or an owner.

    The rows of a day add up to its total in each dimension, to the satoshi.
    """

    class Dimension(models.TextChoices):
        SOURCE = "source"
        CATEGORY = "category"
        APP = "app"
        OWNER = "owner"

    day = models.DateField()
    dimension = models.CharField(max_length=8, choices=Dimension)
    key = models.CharField(max_length=128, blank=True, help_text="Empty: no app or owner is known.")
    revenue_sat = models.BigIntegerField()
    payments = models.PositiveIntegerField()
    usd_micro = models.BigIntegerField(help_text="Sum over the priced payments.")
    priced = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dimension", "day", "key"], name="daily_split_part"),
            models.CheckConstraint(condition=Q(priced__lte=models.F("payments")), name="daily_split_priced"),
        ]
        indexes = [models.Index(fields=["dimension", "key", "day"], name="daily_split_key")]  # an app's or owner's days

    def __str__(self) -> str:
        return f"{self.day} {self.dimension} {self.key}"


class PeriodSplit(models.Model):
    """Payments of an app or owner in a calendar month or year: the sum of its DailySplit rows."""

    class Bucket(models.TextChoices):
        MONTH = "month"
        YEAR = "year"

    dimension = models.CharField(max_length=8, choices=DailySplit.Dimension)
    bucket = models.CharField(max_length=5, choices=Bucket)
    first = models.DateField(help_text="First day of the month or year.")
    key = models.CharField(max_length=128, blank=True)
    revenue_sat = models.BigIntegerField()
    payments = models.PositiveIntegerField()
    usd_micro = models.BigIntegerField()
    priced = models.PositiveIntegerField()
    first_day = models.DateField(help_text="First day with a payment.")
    last_day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dimension", "bucket", "first", "key"], name="period_split_part")
        ]

    def __str__(self) -> str:
        return f"{self.bucket} {self.first} {self.dimension} {self.key}"


class DailyAccrual(models.Model):
    """Earned part of past payments on one day; future days are the curve without renewals.

    Over all days: cash = accrued + breakage + unassigned, to the satoshi and to the micro-dollar.
    """

    day = models.DateField(primary_key=True)
    accrued_sat = models.BigIntegerField(default=0)
    breakage_sat = models.BigIntegerField(default=0, help_text="Left over when an app was cancelled.")
    unassigned_sat = models.BigIntegerField(default=0, help_text="Paid on the day for no known life of an app.")
    cash_sat = models.BigIntegerField(default=0)
    accrued_usd_micro = models.BigIntegerField(default=0)
    breakage_usd_micro = models.BigIntegerField(default=0)
    unassigned_usd_micro = models.BigIntegerField(default=0)
    cash_usd_micro = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.day)


class FillDay(models.Model):
    """Ordered and running instances, as last compared on a UTC day. No source stores this."""

    day = models.DateField(primary_key=True)
    read_at = models.DateTimeField(help_text="When the running instances were read.")
    ordered = models.PositiveIntegerField(help_text="Instances that apps in force pay for.")
    running = models.PositiveIntegerField(help_text="Of these, how many ran.")
    expired_running = models.PositiveIntegerField(help_text="Instances of apps that ended a day ago or earlier.")

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return str(self.day)

    @property
    def percent(self) -> float | None:
        """Return the share of ordered instances that ran, None if none were ordered."""
        return self.running * 100 / self.ordered if self.ordered else None


class BlockTime(models.Model):
    """The time of one block per day, used to interpolate the times of heights in between."""

    height = models.PositiveIntegerField(primary_key=True)
    at = models.DateTimeField()
    day = models.DateField(unique=True)

    def __str__(self) -> str:
        return f"{self.height} {self.at}"


class MessagesState(models.Model):
    """The single row of how far app messages were read, and what was left out and why."""

    complete_at = models.DateTimeField(null=True, help_text="When all messages were last read whole.")
    read_at = models.DateTimeField(null=True, help_text="When new messages were last looked for.")
    coverage = models.JSONField(default=dict, help_text="What was left out, by reason.")
    latest_version = models.PositiveIntegerField(null=True, help_text="Of app specifications, as FluxOS tells.")
    catalogue_at = models.DateTimeField(null=True, help_text="When the categories last followed the catalogue.")
    catalogue = models.CharField(max_length=64, blank=True, help_text="Digest of the catalogue that they follow.")
    templates = models.JSONField(default=dict, help_text="Category by template of the marketplace.")
    templates_at = models.DateTimeField(null=True, help_text="When these were read.")
    cohorts = models.JSONField(default=dict, help_text="By plan, as of `read_at`: what the cohorts' answer says.")
    tip_height = models.PositiveIntegerField(default=0, help_text="The block up to which lives are built.")
    version = models.PositiveBigIntegerField(
        default=0, help_text="Grows with every change: answers are stamped with it."
    )

    class Meta:
        verbose_name_plural = "messages state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="messages_state_single")]

    def __str__(self) -> str:
        return f"read {self.read_at}"

    @classmethod
    def load(cls) -> MessagesState:
        return cls.objects.get_or_create(id=1)[0]

    @classmethod
    def known(cls) -> MessagesState:
        """Return the row, or an empty one. One query without a write, for reads."""
        return next(iter(_known_state()), None) or cls()


_known_state = compiled_once(lambda: MessagesState.objects.filter(id=1))
