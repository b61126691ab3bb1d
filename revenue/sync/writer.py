"""Turn a listing into revenue rows, compare them with the ledger and apply the difference."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.utils import timezone

from fluxtracker.batches import chunks
from fluxtracker.upstream.http.errors import BadAnswer, NotFound, UpstreamError
from fluxtracker.upstream.records import ChainSource, ChainTx, Listing, Unreadable
from revenue import ledger
from revenue.models import AppType, Cursor, Message, Payment, Quarantined, RemovedPayment
from revenue.querysets import INSERTED
from revenue.sync.classify import Output, SenderUnknown, doubt, is_time, outputs_from, revenue_outputs

FIRST_PAUSE = timedelta(minutes=4)  # pause is over by the next sync
ANY_HEIGHT = 2**31 - 1
UNKNOWN_TYPE = AppType.UNKNOWN.value
STORED = ("id", "txid", "vout", "address", "from_address", "amount_sat", "height", "block_hash", "paid_at",
          "day", "kind", "message_hash", "app_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unread:
    """A transaction to quarantine."""

    txid: str
    height: int | None
    reason: str
    detail: str
    asked: bool = True
    """Whether it was requested on its own; if not, the next sync does so at once."""
    paid_at: datetime | None = None
    """Time of its block, None if not reported."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Payments to an address in blocks `low` to `high` of the chain, inclusive."""

    address: str
    low: int
    high: int
    source: str
    outputs: tuple[Output, ...]
    txids: frozenset[str]
    """Every transaction read, revenue or not."""
    received: frozenset[tuple[str, int]] = frozenset()
    """Every output of these transactions to the address, revenue or not."""
    unread: tuple[Unread, ...] = ()
    ends_chain: bool = False
    """Whether rows above `high` are not of this chain, because it is a shorter branch than the one read before."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Changes that make the ledger match the chain."""

    added: list[Output] = field(default_factory=list)
    changed: list[tuple[Payment, Output]] = field(default_factory=list)
    vanished: list[Payment] = field(default_factory=list)
    provisional: list[Payment] = field(default_factory=list)
    unlisted: list[Quarantined] = field(default_factory=list)
    """Quarantined rows that are no longer in their block."""

    def moved_heights(self) -> list[int]:
        """Return the blocks of rows that vanish or move to another block."""
        heights = [row.height for row in self.vanished] + [
            row.height for row in self.unlisted if row.height is not None
        ]
        return heights + [min(row.height, out.height) for row, out in self.changed if _is_moved(row, out)]

    def heights(self) -> list[int]:
        """Return the blocks of all changes."""
        heights = self.moved_heights() + [row.height for row in self.provisional]
        return heights + [out.height for out in (*self.added, *(out for _, out in self.changed))]


@dataclass(frozen=True, slots=True)
class Applied:
    """Number of rows added, removed and corrected."""

    added: int
    removed: int
    changed: int


def compare(reading: Reading, closed_through: date | None) -> Difference:
    """Compare a reading with the ledger, ignoring outputs of closed days (docs/contract.md#daily-totals)."""
    true = {(out.txid, out.vout): out for out in reading.outputs if closed_through is None or out.day > closed_through}
    high = ANY_HEIGHT if reading.ends_chain else reading.high
    stored = _stored(reading, high, {txid for txid, _ in true})
    added = [out for key, out in true.items() if key not in stored]
    changed = [(row, true[key]) for key, row in stored.items() if key in true and differs(row, true[key])]
    waiting = {unread.txid for unread in reading.unread}
    vanished = [
        row
        for key, row in stored.items()
        if key not in true and row.address == reading.address
        and reading.low <= row.height <= high and row.txid not in waiting
    ]  # fmt: skip
    return Difference(added, changed, vanished, _provisional(reading), _unlisted(reading, high))


def _unlisted(reading: Reading, high: int) -> list[Quarantined]:
    """Return quarantined transactions of these blocks that are no longer listed."""
    seen = reading.txids | {unread.txid for unread in reading.unread}
    rows = Quarantined.objects.filter(address=reading.address, height__gte=reading.low, height__lte=high)
    return [row for row in rows if row.txid not in seen]


def _stored(reading: Reading, high: int, txids: set[str]) -> dict[tuple[str, int | None], Payment]:
    """Return rows of the window, and of the same transactions elsewhere, which moved to another block."""
    rows = Payment.objects.filter(vout__isnull=False).only(*STORED)
    stored = {(row.txid, row.vout): row for row in rows.in_window(reading.address, reading.low, high)}
    elsewhere = sorted(txids - {txid for txid, _ in stored})
    for batch in chunks(elsewhere):
        stored |= {(row.txid, row.vout): row for row in rows.filter(txid__in=batch)}
    return stored


def _provisional(reading: Reading) -> list[Payment]:
    """Return imported rows that the reading replaces, or that lie in the window and are not in the chain."""
    imported = Payment.objects.filter(vout=None).only(*STORED)
    if not imported.exists():
        return []
    in_window = list(imported.in_window(reading.address, reading.low, reading.high))
    return list({row.pk: row for row in [*in_window, *imported.filter(txid__in=list(reading.txids))]}.values())


def _is_moved(row: Payment, out: Output) -> bool:
    return row.height != out.height or ("" not in (row.block_hash, out.block_hash) and row.block_hash != out.block_hash)


compared = attrgetter("height", "amount_sat", "paid_at", "from_address", "address", "message_hash", "kind")


def differs(row: Payment, out: Output) -> bool:
    """Return whether the stored row differs from the chain."""
    return compared(row) != compared(out) or out.block_hash not in ("", row.block_hash)


def apply(reading: Reading, difference: Difference, now: datetime, cursor: Cursor | None = None) -> Applied:
    """Apply the difference to the ledger. Call inside `ledger.writing()`."""
    removed = [*difference.vanished, *difference.provisional]
    days = {(row.day, row.address) for row in removed} | {(row.day, row.address) for row, _ in difference.changed}
    apps = {row.app_id for row in removed} | {row.app_id for row, _ in difference.changed}
    for batch in chunks([row.pk for row in removed]):
        RemovedPayment.objects.keep(Payment.objects.filter(pk__in=batch))
        Payment.objects.filter(pk__in=batch).delete()
    names = _known_names([*difference.added, *(out for _, out in difference.changed)])
    for row, out in difference.changed:
        _correct(row, out, reading.source, names.get(out.message_hash))
    added = difference.added
    Payment.objects.insert([_values(out, reading.source, names.get(out.message_hash)) for out in added])
    _restore_prices(added)
    days |= {(out.day, out.address) for out in (*added, *(out for _, out in difference.changed))}
    apps |= {message.app_id for message in names.values()}
    ledger.recompute_days(days)
    ledger.recompute_apps(app for app in apps if app is not None)
    _quarantine(reading, difference, now)
    if cursor:
        cursor.save()
    return Applied(len(added), len(removed), len(difference.changed))


def _known_names(outputs: Iterable[Output]) -> dict[str, Message]:
    known = Message.objects.filter(app__isnull=False)
    hashes = sorted({out.message_hash for out in outputs if out.message_hash}) if known.exists() else []
    return {message.hash: message for batch in chunks(hashes) for message in known.filter(hash__in=batch)}


def _values(out: Output, source: str, message: Message | None) -> tuple[Any, ...]:
    """Return the INSERTED columns of an output's row."""
    app_id, app_type = (message.app_id, message.app_type) if message else (None, UNKNOWN_TYPE)
    return (
        out.paid_at, out.paid_at.date(), out.txid, out.vout, out.address, out.from_address, out.amount_sat, out.height,
        out.block_hash, out.kind, out.message_hash, app_id, app_type, source,
    )  # fmt: skip


def _correct(row: Payment, out: Output, source: str, message: Message | None) -> None:
    """Overwrite a row, keeping its price unless amount or day changed."""
    columns = dict(zip(INSERTED, _values(out, source, message), strict=True))
    if row.day != out.day or row.amount_sat != out.amount_sat:
        columns |= {"price_usd": None, "usd_micro": None}
    Payment.objects.filter(pk=row.pk).update(**columns)


def _restore_prices(added: Collection[Output]) -> None:
    """Restore prices of payments that return in another block with the same amount and day."""
    if not added or not RemovedPayment.objects.exists():
        return
    keys = {(out.txid, out.vout) for out in added}
    for batch in chunks(sorted({txid for txid, _ in keys})):
        returned = [old for old in RemovedPayment.objects.filter(txid__in=batch) if (old.txid, old.vout) in keys]
        for old in returned:
            row = Payment.objects.filter(txid=old.txid, vout=old.vout, day=old.day, amount_sat=old.amount_sat)
            row.update(price_usd=old.price_usd, usd_micro=old.usd_micro)
        RemovedPayment.objects.filter(pk__in=[old.pk for old in returned]).delete()


def _quarantine(reading: Reading, difference: Difference, now: datetime) -> None:
    """Quarantine unread transactions, and release those now read or no longer listed."""
    waiting = {unread.txid for unread in reading.unread}
    read = reading.txids - waiting
    over = [row.pk for row in difference.unlisted]
    over += [row.pk for row in Quarantined.objects.filter(address=reading.address) if row.txid in read]
    if over:
        Quarantined.objects.filter(pk__in=over).delete()
    if waiting:
        counted = set(Payment.objects.filter(txid__in=waiting).values_list("txid", flat=True))
        quarantine(reading.address, [unread for unread in reading.unread if unread.txid not in counted], now)


def quarantine(address: str, unread: Iterable[Unread], now: datetime) -> None:
    """Quarantine transactions; those already there keep their pauses."""
    Quarantined.objects.bulk_create(
        [
            Quarantined(
                txid=one.txid, address=address, height=one.height, paid_at=one.paid_at, reason=one.reason,
                detail=one.detail[:300], attempts=int(one.asked), first_seen_at=now,
                next_attempt_at=now + FIRST_PAUSE if one.asked else now,
            )
            for one in unread
        ],
        ignore_conflicts=True,
    )  # fmt: skip


class Doubtful(BadAnswer):
    """A transaction that cannot be as reported."""


LOOKUPS_OF_DAEMON = 500  # it needs a request per transaction anyway, and often omits senders
LOOKUPS_A_SYNC = 50  # single transactions requested per sync, so that a strange listing cannot flood a source


@dataclass(slots=True)
class Reader:
    """Reads one source's transactions for the ledger, counting fetches and remaining look-ups."""

    source: ChainSource
    tracked: Collection[str]
    fetched: int = 0
    lookups_left: int = LOOKUPS_A_SYNC
    pending: list[datetime] = field(default_factory=list)
    """Block times of listed transactions without enough confirmations."""
    now: datetime = field(default_factory=timezone.now)
    _at_hand: tuple[ChainTx, ...] = ()

    @classmethod
    def of(cls, source: ChainSource) -> Reader:
        """Return a reader for all tracked addresses."""
        tracked = frozenset(tracked.address for tracked in settings.REVENUE_ADDRESSES)
        return cls(source, tracked, lookups_left=LOOKUPS_OF_DAEMON if source.name == "daemon" else LOOKUPS_A_SYNC)

    def window(self, listing: Listing, high: int) -> Reading:
        """Return the listing up to block `high`; blocks above lack confirmations."""
        settled = [tx for tx in listing.transactions if 0 < tx.height <= high]
        self.pending += [tx.block_time for tx in listing.transactions if tx.height > high]
        self.pending += [row.time for row in listing.unreadable if row.time and (row.height or 0) > high]
        self.fetched += len(settled) + len(listing.unreadable)
        self._at_hand = listing.transactions
        outputs: list[Output] = []
        unread: list[Unread] = []
        for tx in settled:
            outputs += self._outputs(tx, listing.address, unread)
        rows = [row for row in listing.unreadable if row.height is None or row.height <= high]
        for row in rows:
            outputs += self._request_again(row, listing, high, unread)
        reported = {tx.txid for tx in settled} | {row.txid for row in rows}
        txids = frozenset(reported - {one.txid for one in unread})
        received = {(tx.txid, out.n) for tx in settled for out in tx.outputs if out.address == listing.address}
        return Reading(
            listing.address, listing.low, min(listing.high, high), self.source.name,
            tuple(outputs), txids, frozenset(received), tuple(unread),
        )  # fmt: skip

    def _outputs(self, tx: ChainTx, address: str, unread: list[Unread]) -> list[Output]:
        try:
            return self.outputs(tx, address)
        except Doubtful as error:
            unreadable = Quarantined.Reason.UNREADABLE.value
            paid_at = tx.block_time if is_time(tx.block_time, self.now) else None
            unread.append(Unread(tx.txid, tx.height, unreadable, error.detail, asked=False, paid_at=paid_at))
        except (SenderUnknown, UpstreamError) as error:
            asked = self.lookups_left >= 0
            unread.append(Unread(tx.txid, tx.height, Quarantined.Reason.SENDER.value, str(error), asked, tx.block_time))
        return []

    def _request_again(self, row: Unreadable, listing: Listing, high: int, unread: list[Unread]) -> list[Output]:
        """Request the transaction of an unreadable row on its own, once."""
        detail = row.detail
        try:
            if self._may_look_up():
                tx = self.source.transaction(row.txid)
                if listing.low <= tx.height <= high:
                    return self.outputs(tx, listing.address)
                if tx.height > high:
                    return []
        except (SenderUnknown, UpstreamError) as error:
            detail = str(error)
        unread.append(Unread(row.txid, row.height, Quarantined.Reason.UNREADABLE.value, detail, paid_at=row.time))
        return []

    def outputs(self, tx: ChainTx, address: str) -> list[Output]:
        """Return the revenue outputs, finding a sender that is not reported by the previous output.

        Doubtful if the transaction cannot be as reported.
        """
        if why := doubt(tx, address, self.now):
            raise Doubtful(self.source.host, f"tx/{tx.txid}", why)
        try:
            return revenue_outputs(tx, address, self.tracked)
        except SenderUnknown as unknown:
            previous = self._previous(unknown)
            spent = [output for output in previous.outputs if output.n == unknown.spends.previous_vout]
            if not spent:
                raise NotFound(
                    self.source.host, f"tx/{previous.txid}", f"has no output {unknown.spends.previous_vout}"
                ) from None
            return outputs_from(tx, address, spent[0].address, self.tracked)

    def _previous(self, unknown: SenderUnknown) -> ChainTx:
        """Return the spent transaction.

        Payers often spend the change of their last payment, which is already loaded.
        """
        txid = unknown.spends.previous_txid
        previous = next((tx for tx in self._at_hand if tx.txid == txid), None)
        if previous:
            return previous
        if not txid or not self._may_look_up():
            raise unknown
        return self.source.transaction(txid)

    def _may_look_up(self) -> bool:
        self.lookups_left -= 1
        return self.lookups_left >= 0
