"""Store the ledger: payments, their sums, how far the chain was read, and what could not be read.

Money is integers (`_sat` satoshi, `_micro` micro-dollars), instants are UTC. NULL = not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, Q

from fluxtracker.database import compiled_once
from fluxtracker.periods import is_fresh
from revenue.querysets import DailyTotalQuerySet, PaymentQuerySet, QuarantineQuerySet, RemovedPaymentQuerySet

TIP_STANDS = timedelta(minutes=15)  # 30 blocks; beyond that the source is behind the chain, not we behind the source
CHAIN_BEHIND = timedelta(hours=1)  # tolerance for the age of the last settled block
SLOWEST_BLOCK = timedelta(minutes=2)
STALE = timedelta(minutes=30)  # since the last completed sync


class AppType(models.TextChoices):
    """Way in which an app was deployed, as its message says."""

    GIT = "git"
    DOCKER = "docker"
    UNKNOWN = "unknown"


class AppFigures:
    """Values derived from an app's sums."""

    payments: Any
    revenue_sat: Any
    usd_micro: Any
    priced: Any

    @property
    def average_sat(self) -> int:
        """Return satoshi per payment, rounded half up."""
        average: int = (self.revenue_sat + self.payments // 2) // self.payments
        return average

    @property
    def unpriced(self) -> int:
        missing: int = self.payments - self.priced
        return missing

    @property
    def usd(self) -> int | None:
        """Return micro-dollars, None if no payment has a price."""
        return self.usd_micro if self.priced else None


class App(AppFigures, models.Model):
    """An app with payments, and the sums of its rows in the ledger."""

    name = models.CharField(max_length=128, unique=True)
    payments = models.PositiveIntegerField(default=0)
    revenue_sat = models.BigIntegerField(default=0)
    usd_micro = models.BigIntegerField(default=0, db_default=0, help_text="Sum over the priced payments.")
    priced = models.PositiveIntegerField(default=0, db_default=0, help_text="How many payments have a USD value.")
    first_paid_at = models.DateTimeField(null=True, blank=True)
    last_paid_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # App analytics lists by revenue.
            models.Index(fields=["-revenue_sat", "name"], name="app_by_revenue"),
        ]

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """Facts from the app message behind an OP_RETURN hash; never the specification itself."""

    hash = models.CharField(max_length=64, primary_key=True)
    app = models.ForeignKey(App, null=True, blank=True, on_delete=models.PROTECT, related_name="messages")
    app_type = models.CharField(max_length=8, choices=AppType, default=AppType.UNKNOWN)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # The unknown messages to ask for next.
            models.Index(fields=["next_attempt_at"], condition=Q(app=None), name="message_due"),
        ]

    def __str__(self) -> str:
        return self.hash


class Payment(models.Model):
    """One confirmed transaction output to a tracked address (docs/contract.md#revenue)."""

    class Kind(models.TextChoices):
        APP = "app"  # OP_RETURN holds a 64-hex message hash
        FLUXDRIVE = "fluxdrive"  # OP_RETURN text FLUXDRIVE...
        PLAIN = "plain"  # neither

    class Source(models.TextChoices):
        BLOCKBOOK = "blockbook"
        DAEMON = "daemon"
        IMPORT = "import"  # provisional, from the previous tracker: no vout, one per txid

    txid = models.CharField(max_length=64)
    vout = models.PositiveIntegerField(null=True)
    address = models.CharField(max_length=64)
    from_address = models.CharField(
        max_length=64, null=True, help_text="NULL: there is no transparent input, or the first one has no address."
    )
    amount_sat = models.BigIntegerField()
    height = models.PositiveIntegerField()
    block_hash = models.CharField(max_length=64, blank=True)
    paid_at = models.DateTimeField(help_text="Time of the block, UTC.")
    day = models.DateField(help_text="UTC day of the block.")
    kind = models.CharField(max_length=9, choices=Kind, default=Kind.PLAIN)
    message_hash = models.CharField(max_length=64, blank=True)
    app = models.ForeignKey(App, null=True, on_delete=models.PROTECT, related_name="ledger", db_index=False)
    app_type = models.CharField(max_length=8, choices=AppType, default=AppType.UNKNOWN)
    price_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    usd_micro = models.BigIntegerField(null=True)
    source = models.CharField(max_length=9, choices=Source, default=Source.BLOCKBOOK)

    objects = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            # The operator class lets PostgreSQL search by a txid's prefix; SQLite needs none.
            models.UniqueConstraint(
                fields=["txid", "vout"], name="payment_output", opclasses=["varchar_pattern_ops", "int4_ops"]
            ),
            models.UniqueConstraint(fields=["txid"], condition=Q(vout=None), name="payment_provisional"),
            models.CheckConstraint(condition=Q(amount_sat__gte=0), name="payment_amount"),
            models.CheckConstraint(
                condition=Q(vout__isnull=False, source__in=["blockbook", "daemon"]) | Q(vout=None, source="import"),
                name="payment_vout_unless_import",
            ),
            models.CheckConstraint(
                condition=Q(price_usd=None, usd_micro=None) | Q(usd_micro__isnull=False), name="payment_usd"
            ),
        ]
        indexes = [
            models.Index(fields=["paid_at", "id"], name="payment_newest"),  # lists, pages, ranges of days
            models.Index(fields=["height", "address"], name="payment_window"),  # rows of a window that is read again
            models.Index(fields=["day", "address"], name="payment_day"),  # a day's totals
            models.Index(  # an app's payments and sums; counts by type or amount, index-only
                fields=["app", "paid_at", "id", "app_type", "amount_sat"], name="payment_app"
            ),
            models.Index(  # prefix search; a sender's totals, index-only
                fields=["from_address", "day", "amount_sat", "usd_micro"],
                name="payment_sender",
                opclasses=["varchar_pattern_ops", "date_ops", "int8_ops", "int8_ops"],
            ),
            models.Index(fields=["amount_sat", "id"], name="payment_amount_sat"),  # by amount: search, order
            # Payments without a name, by message.
            models.Index(fields=["message_hash"], condition=Q(app=None, kind="app"), name="payment_unnamed"),
            # Payments without a price, by day.
            models.Index(fields=["day"], condition=Q(usd_micro=None), name="payment_unpriced"),
        ]

    def __str__(self) -> str:
        return f"{self.txid}:{self.vout}"


class RemovedPayment(models.Model):
    """Value of a payment removed by a reorganisation: most come back in another block."""

    txid = models.CharField(max_length=64)
    vout = models.PositiveIntegerField()
    amount_sat = models.BigIntegerField()
    day = models.DateField(help_text="UTC day of the block that held it.")
    price_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    usd_micro = models.BigIntegerField()

    objects = RemovedPaymentQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["txid", "vout"], name="removed_payment_output")]

    def __str__(self) -> str:
        return f"{self.txid}:{self.vout}"


class PrunedPayment(models.Model):
    """Remainder of a transaction with pruned payments: enough to split its day's total again.

    Days pruned before this table existed have none.
    """

    txid = models.CharField(max_length=64)
    day = models.DateField()
    paid_at = models.DateTimeField()
    height = models.PositiveIntegerField()
    from_address = models.CharField(max_length=64, null=True)
    kind = models.CharField(max_length=9, choices=Payment.Kind)
    message_hash = models.CharField(max_length=64, blank=True)
    app = models.ForeignKey(App, null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    amount_sat = models.BigIntegerField()
    payments = models.PositiveIntegerField()
    usd_micro = models.BigIntegerField(default=0, help_text="Sum over the priced payments.")
    priced = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["txid", "day"], name="pruned_payment_once")]
        indexes = [
            models.Index(fields=["day"], name="pruned_payment_day"),
            models.Index(  # a sender's totals, index-only
                fields=["from_address", "day", "amount_sat", "payments", "usd_micro", "priced"],
                name="pruned_payment_sender",
            ),
        ]

    def __str__(self) -> str:
        return self.txid


class ChangedDay(models.Model):
    """A day with payments, names, prices, labels or messages that changed after its total was split."""

    day = models.DateField(primary_key=True)

    def __str__(self) -> str:
        return str(self.day)

    @staticmethod
    def mark(days: Iterable[date]) -> None:
        """Mark the days, in the transaction that changes them."""
        rows = [ChangedDay(day=day) for day in set(days)]
        ChangedDay.objects.bulk_create(rows, ignore_conflicts=True, batch_size=10_000)


class DailyTotal(models.Model):
    """Revenue of one address on one UTC day. Kept after its rows are pruned."""

    day = models.DateField()
    address = models.CharField(max_length=64)
    revenue_sat = models.BigIntegerField(default=0)
    payments = models.PositiveIntegerField(default=0)
    usd_micro = models.BigIntegerField(default=0, help_text="Sum over the priced payments.")
    priced = models.PositiveIntegerField(default=0, help_text="How many payments have a USD value.")

    objects = DailyTotalQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "address"], name="daily_total_day"),
            models.CheckConstraint(condition=Q(priced__lte=models.F("payments")), name="daily_total_priced"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.address}"


class Cursor(models.Model):
    """Last block read for one address, and the tip it was read at.

    The ledger holds every block from `first_height` to `height` of the chain with block `tip_hash` at
    `tip_height`. `height` is the highest block that had enough confirmations.
    """

    address = models.CharField(max_length=64, primary_key=True)
    first_height = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    tip_height = models.PositiveIntegerField()
    tip_hash = models.CharField(max_length=64)
    listed_total = models.PositiveIntegerField(
        null=True, help_text="Transactions Blockbook counted for the address, whole history, at this tip."
    )
    listed = models.PositiveIntegerField(
        null=True, help_text="Transactions listed up to `height` by a first read that is not through yet."
    )
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.address} to {self.height}"

    @classmethod
    def by_address(cls) -> dict[str, Cursor]:
        return {cursor.address: cursor for cursor in _cursors()}


_cursors = compiled_once(lambda: Cursor.objects.all())


def _is_read(cursor: Cursor | None, first: int, last: int) -> bool:
    """Return whether the address was read from block `first` to block `last`."""
    return last < first or (cursor is not None and cursor.first_height <= first and cursor.height >= last)


class LedgerState(models.Model):
    """The one row of facts about the ledger as a whole."""

    tip_height = models.PositiveIntegerField(null=True, help_text="The chain's last block as last read.")
    tip_hash = models.CharField(max_length=64, blank=True)
    tip_ahead = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Blocks that its source counts above it: not every node has them yet."
    )
    tip_source = models.CharField(max_length=200, blank=True, help_text="Host of the source that told the tip.")
    tip_changed_at = models.DateTimeField(null=True, help_text="When this tip was first seen.")
    completed_at = models.DateTimeField(null=True, help_text="When a sync last reached its tip.")
    settled_height = models.PositiveIntegerField(
        null=True, help_text="A block with its confirmations up to which every address was read."
    )
    settled_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    settled_at = models.DateTimeField(null=True, help_text="That block's own time: days that end by then are complete.")
    closed_through = models.DateField(null=True, help_text="Days up to this one are pruned and frozen.")
    known_blocks = models.JSONField(
        null=True,
        help_text="Height and hash of blocks that were read: the last tips and a settled one, oldest first.",
    )
    unproved_height = models.PositiveIntegerField(
        null=True, help_text="From this block on a source contradicts the ledger, and none could say which is right."
    )
    unproved_at = models.DateTimeField(null=True, help_text="Since when that is so.")
    version = models.PositiveBigIntegerField(
        default=0, help_text="Grows with every change of the ledger: what answers are stamped with."
    )

    has_quarantine = True
    """Whether transactions may wait in the quarantine; `known` finds out."""

    class Meta:
        verbose_name_plural = "ledger state"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="ledger_state_single")]

    def __str__(self) -> str:
        return f"tip {self.tip_height}"

    @property
    def counted_tip(self) -> int | None:
        """Return the last block as the source counts: confirmations are counted from there."""
        return None if self.tip_height is None else self.tip_height + self.tip_ahead

    @property
    def read_until(self) -> datetime | None:
        """Return when the chain was last known: at the last completed sync, or when a stuck source last moved.

        A stuck source keeps reporting nothing new. It last moved when its tip did or, if it was late when first
        read, at the time of its last settled block.
        """
        known = self.completed_at
        if known is None:
            return None
        if self.tip_changed_at is not None and known - self.tip_changed_at > TIP_STANDS:
            known = self.tip_changed_at
        has_last_block = (  # no block above the settled one has enough confirmations: its time was read with the tip
            self.settled_height is not None
            and self.counted_tip is not None
            and self.counted_tip - self.settled_height < settings.MIN_CONFIRMATIONS
        )
        if self.settled_at is not None and has_last_block:
            usual = CHAIN_BEHIND + settings.MIN_CONFIRMATIONS * SLOWEST_BLOCK
            known = self.settled_at if known - self.settled_at > usual else known
        return known

    @cached_property
    def complete_until(self) -> datetime | None:
        """Return the chain time up to which the ledger is complete, None if not known. One query.

        Nothing is complete while a tracked address is new or being read again: the slowest decides.
        """
        settled = self.settled_height
        if settled is None:
            return None
        cursors = Cursor.by_address()
        are_read = (_is_read(cursors.get(one.address), one.first_height, settled) for one in settings.REVENUE_ADDRESSES)
        return self.settled_at if all(are_read) else None

    @property
    def quarantined(self) -> int:
        """Return the number of quarantined transactions. One query, none if it is empty."""
        return Quarantined.objects.count() if self.has_quarantine else 0

    @cached_property
    def lacking(self) -> set[date]:
        """Return the days with quarantined transactions. One query, none if it is empty."""
        return Quarantined.objects.days() if self.has_quarantine else set()

    def knows(self, day: date) -> bool:
        """Return whether a completed sync has read the day: only then does no payment mean 0."""
        return self.is_closed(day) or (self.read_until is not None and day <= self.read_until.date())

    def has_all_of(self, day: date, now: datetime) -> bool:
        """Return whether the day is over, by chain time and by clock, and fully in the ledger."""
        if self.is_closed(day):
            return True
        is_over = self.complete_until is not None and day < min(self.complete_until, now).date()
        return is_over and day not in self.lacking

    @property
    def stamp(self) -> tuple[int, datetime | None, int | None, date | None]:
        """Return the columns of `ledger_stamp` from a loaded row."""
        return self.version, self.completed_at, self.tip_height, self.closed_through

    def is_stale(self, now: datetime) -> bool:
        return not is_fresh(self.read_until, now, STALE)

    def is_closed(self, day: date) -> bool:
        """Return whether the day's rows are pruned and its total is frozen."""
        return self.closed_through is not None and day <= self.closed_through

    @classmethod
    def known(cls) -> LedgerState:
        """Return the row, or an empty one. One query."""
        return next(iter(_known_state()), None) or cls()

    @classmethod
    def load(cls) -> LedgerState:
        return cls.objects.get_or_create(id=1)[0]

    @classmethod
    def last_closed_day(cls) -> date | None:
        """Return the last pruned day. Reads only this column: exports continue while an upgrade adds others."""
        return cls.objects.filter(id=1).values_list("closed_through", flat=True).first()


_known_state = compiled_once(
    lambda: LedgerState.objects.annotate(has_quarantine=Exists(Quarantined.objects.all())).filter(id=1)  # type: ignore[no-redef]
)


class Quarantined(models.Model):
    """A transaction to a tracked address that could not be read, and is not counted until it can be."""

    class Reason(models.TextChoices):
        UNREADABLE = "unreadable", "the source's record could not be read"
        SENDER = "sender", "the sender is not told and its previous output could not be read"

    txid = models.CharField(max_length=64)
    address = models.CharField(max_length=64)
    height = models.PositiveIntegerField(null=True)
    paid_at = models.DateTimeField(null=True, help_text="Time of its block; NULL: not known.")
    reason = models.CharField(max_length=10, choices=Reason)
    detail = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    absences = models.PositiveIntegerField(
        default=0, db_default=0, help_text="Times in a row that the source said it knows no such transaction."
    )
    first_seen_at = models.DateTimeField()
    next_attempt_at = models.DateTimeField(db_index=True)

    objects = QuarantineQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "quarantine"
        constraints = [models.UniqueConstraint(fields=["txid", "address"], name="quarantined_once")]

    def __str__(self) -> str:
        return self.txid


class DailyPrice(models.Model):
    """The close of a UTC day in USD per FLUX; NULL while no source has reported a trusted one."""

    day = models.DateField(primary_key=True)
    price_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    source = models.CharField(max_length=20, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    doubt = models.CharField(
        max_length=60, blank=True, default="", db_default="", help_text="The last price that came and was not trusted."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(price_usd=None) | Q(price_usd__gt=0), name="daily_price_positive")
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.price_usd}"


class LivePrice(models.Model):
    """The last price reported by a source, and when it was asked."""

    price_usd = models.DecimalField(max_digits=20, decimal_places=10)
    source = models.CharField(max_length=20)
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="live_price_single")]

    def __str__(self) -> str:
        return f"{self.price_usd} USD"

    @classmethod
    def last(cls) -> LivePrice | None:
        return next(iter(_live_price()), None)


_live_price = compiled_once(lambda: LivePrice.objects.filter(id=1))


class PendingPayments(models.Model):
    """One reading of payments not yet in the ledger. The next reading replaces it.

    They are a list rather than rows, so that nothing can count them.
    """

    payments = models.JSONField(default=list, help_text="The newest first.")
    unreadable = models.PositiveIntegerField(default=0, help_text="Transactions that could not be read.")
    is_cut = models.BooleanField(default=False, help_text="There may be more than one page of them.")
    source = models.CharField(max_length=200, help_text="Host of the source.")
    read_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "pending payments"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="pending_payments_single")]

    def __str__(self) -> str:
        return f"read at {self.read_at:%Y-%m-%d %H:%M:%S}"


class Label(models.Model):
    """Name of an address or owner, and the days it applies to."""

    class Kind(models.TextChoices):
        ADDRESS = "address", "sender's address"
        OWNER = "owner", "owner of apps"

    class Category(models.TextChoices):
        CARD = "card", "card gateway: pays for customers"
        TEAM = "team", "the team of Flux"
        PLATFORM = "platform", "wallet of the platform"
        OTHER = "other", "somebody else"

    subject = models.CharField(max_length=64, help_text="The address or the owner.")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.ADDRESS)
    category = models.CharField("class", max_length=9, choices=Category)
    words = models.CharField(max_length=100, help_text="Its name for people.")
    source = models.CharField(max_length=200, blank=True, help_text="How that is known.")
    valid_from = models.DateField(null=True, blank=True, help_text="First UTC day; empty: always before.")
    valid_to = models.DateField(null=True, blank=True, help_text="Last UTC day; empty: it still holds.")

    class Meta:
        ordering = ["kind", "subject", "valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["subject", "kind", "valid_from"], name="label_once"),
            models.UniqueConstraint(fields=["subject", "kind"], condition=Q(valid_from=None), name="label_once_open"),
            models.CheckConstraint(
                condition=Q(valid_from=None) | Q(valid_to=None) | Q(valid_from__lte=models.F("valid_to")),
                name="label_from_to",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subject}: {self.category}"

    def holds_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day <= self.valid_to)


class ShareRule(models.Model):
    """Each recipient's share of payments from a block on, in parts per million."""

    from_height = models.PositiveIntegerField(unique=True)
    from_day = models.DateField(help_text="When that block was or is expected; the block decides.")
    foundation_ppm = models.PositiveIntegerField(help_text="Of a million: what reaches the tracked addresses.")
    operators_ppm = models.PositiveIntegerField(help_text="Of a million: what goes to the operators of nodes.")
    words = models.CharField(max_length=200)
    source = models.CharField(max_length=200, blank=True, help_text="How that is known.")

    class Meta:
        ordering = ["from_height"]
        constraints = [
            models.CheckConstraint(
                condition=Q(foundation_ppm__gt=0) & Q(foundation_ppm=1_000_000 - models.F("operators_ppm")),
                name="share_rule_whole",
            )
        ]

    def __str__(self) -> str:
        return f"from block {self.from_height}"
