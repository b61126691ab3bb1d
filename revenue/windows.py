"""A window of blocks as the chain has it against as the ledger has it, and bringing the second to the first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from revenue import ledger
from revenue.classify import Output
from revenue.models import Cursor, Message, Payment, Quarantined, RemovedPayment

FIRST_PAUSE = timedelta(minutes=4)  # over by the next sync
LONGEST_PAUSE = timedelta(hours=12)
ANY_HEIGHT = 2**31 - 1
STORED = ("id", "txid", "vout", "address", "from_address", "amount_sat", "height", "block_hash", "paid_at",
          "day", "kind", "message_hash", "app_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unread:
    """A transaction that has to wait in the quarantine."""

    txid: str
    height: int | None
    reason: str
    detail: str
    asked: bool = True
    """Whether the source was asked for it by itself; else the next sync does so at once."""
    paid_at: datetime | None = None
    """Time of its block, None where it is not told."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the chain says of an address from block `low` to `high`, both included."""

    address: str
    low: int
    high: int
    source: str
    outputs: tuple[Output, ...]
    txids: frozenset[str]
    """Every transaction that was read, revenue or not."""
    received: frozenset[tuple[str, int]] = frozenset()
    """Every output to the address of those transactions, revenue or not."""
    unread: tuple[Unread, ...] = ()
    ends_chain: bool = False
    """Whether rows above `high` are none of this chain: it is a branch that is shorter than what was read before."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to change in the ledger so that it says what the chain says."""

    added: list[Output] = field(default_factory=list)
    changed: list[tuple[Payment, Output]] = field(default_factory=list)
    vanished: list[Payment] = field(default_factory=list)
    provisional: list[Payment] = field(default_factory=list)
    unlisted: list[Quarantined] = field(default_factory=list)
    """What waits in the quarantine and is not in its block any more."""

    def moved_heights(self) -> list[int]:
        """Return the blocks of what goes, and of what goes to another block."""
        heights = [row.height for row in self.vanished] + [
            row.height for row in self.unlisted if row.height is not None
        ]
        return heights + [min(row.height, out.height) for row, out in self.changed if _is_moved(row, out)]

    def heights(self) -> list[int]:
        """Return the blocks of everything that would change."""
        heights = self.moved_heights() + [row.height for row in self.provisional]
        return heights + [out.height for out in (*self.added, *(out for _, out in self.changed))]


@dataclass(frozen=True, slots=True)
class Applied:
    """How many rows came, went, and were corrected."""

    added: int
    removed: int
    changed: int


def compare(reading: Reading, closed_through: date | None) -> Difference:
    """Hold a reading against the ledger. Outputs of closed days are no news (docs/contract.md#daily-totals)."""
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
    """Return what was put aside in these blocks and is not listed there any more."""
    seen = reading.txids | {unread.txid for unread in reading.unread}
    rows = Quarantined.objects.filter(address=reading.address, height__gte=reading.low, height__lte=high)
    return [row for row in rows if row.txid not in seen]


def _stored(reading: Reading, high: int, txids: set[str]) -> dict[tuple[str, int | None], Payment]:
    """Rows of the window, and rows elsewhere of the same transactions (they moved to another block)."""
    rows = Payment.objects.filter(vout__isnull=False).only(*STORED)
    found = {(row.txid, row.vout): row for row in rows.in_window(reading.address, reading.low, high)}
    elsewhere = sorted(txids - {txid for txid, _ in found})
    for some in ledger.chunks(elsewhere):
        found |= {(row.txid, row.vout): row for row in rows.filter(txid__in=some)}
    return found


def _provisional(reading: Reading) -> list[Payment]:
    """Imported rows that the reading replaces, or that lie in the window and the chain does not know."""
    imported = Payment.objects.filter(vout=None).only(*STORED)
    if not imported.exists():
        return []
    here = list(imported.in_window(reading.address, reading.low, reading.high))
    return list({row.pk: row for row in [*here, *imported.filter(txid__in=list(reading.txids))]}.values())


def _is_moved(row: Payment, out: Output) -> bool:
    return row.height != out.height or ("" not in (row.block_hash, out.block_hash) and row.block_hash != out.block_hash)


def differs(row: Payment, out: Output) -> bool:
    """Whether the stored row says something else than the chain."""
    return (
        row.height != out.height
        or row.amount_sat != out.amount_sat
        or row.paid_at != out.paid_at
        or row.from_address != out.from_address
        or row.address != out.address
        or row.message_hash != out.message_hash
        or row.kind != out.kind
        or (out.block_hash not in ("", row.block_hash))
    )


def apply(reading: Reading, difference: Difference, now: datetime, cursor: Cursor | None = None) -> Applied:
    """Make the ledger say what the chain says. Call inside `ledger.writing()`."""
    gone = [*difference.vanished, *difference.provisional]
    days = {(row.day, row.address) for row in gone} | {(row.day, row.address) for row, _ in difference.changed}
    apps = {row.app_id for row in gone} | {row.app_id for row, _ in difference.changed}
    for some in ledger.chunks([row.pk for row in gone]):
        RemovedPayment.objects.keep(Payment.objects.filter(pk__in=some))
        Payment.objects.filter(pk__in=some).delete()
    names = _known_names([*difference.added, *(out for _, out in difference.changed)])
    for row, out in difference.changed:
        _correct(row, out, reading.source, names.get(out.message_hash))
    fresh = [_payment(out, reading.source, names.get(out.message_hash)) for out in difference.added]
    Payment.objects.insert(fresh)
    _restore_prices(fresh)
    days |= {(row.day, row.address) for row in fresh} | {(out.day, out.address) for _, out in difference.changed}
    apps |= {message.app_id for message in names.values()}
    ledger.recompute_days(days)
    ledger.recompute_apps(app for app in apps if app is not None)
    _quarantine(reading, difference, now)
    if cursor:
        cursor.save()
    return Applied(len(fresh), len(gone), len(difference.changed))


def _known_names(outputs: Iterable[Output]) -> dict[str, Message]:
    hashes = {out.message_hash for out in outputs if out.message_hash}
    if not hashes:
        return {}
    return {
        message.hash: message
        for some in ledger.chunks(sorted(hashes))
        for message in Message.objects.filter(hash__in=some, app__isnull=False)
    }


def _payment(out: Output, source: str, message: Message | None) -> Payment:
    return Payment(
        txid=out.txid, vout=out.vout, address=out.address, from_address=out.from_address,
        amount_sat=out.amount_sat, height=out.height, block_hash=out.block_hash, paid_at=out.paid_at,
        day=out.day, kind=out.kind, message_hash=out.message_hash, source=source,
        app_id=message.app_id if message else None, app_type=message.app_type if message else "unknown",
    )  # fmt: skip


def _correct(row: Payment, out: Output, source: str, message: Message | None) -> None:
    """Overwrite a row; its price stays unless the amount or the day, and so the price's ground, changed."""
    fresh = _payment(out, source, message)
    fresh.pk = row.pk
    columns = ["address", "from_address", "amount_sat", "height", "block_hash", "paid_at", "day", "kind",
               "message_hash", "source", "app", "app_type"]  # fmt: skip
    if row.day != out.day or row.amount_sat != out.amount_sat:
        columns += ["price_usd", "usd_micro"]
    fresh.save(update_fields=columns)


def _restore_prices(fresh: list[Payment]) -> None:
    """Give payments that come back in another block their prices, where amount and day are the same."""
    if not fresh or not RemovedPayment.objects.exists():
        return
    rows = {(row.txid, row.vout): row for row in fresh}
    for some in ledger.chunks(sorted({txid for txid, _ in rows})):
        back = [old for old in RemovedPayment.objects.filter(txid__in=some) if (old.txid, old.vout) in rows]
        for old in back:
            row = Payment.objects.filter(txid=old.txid, vout=old.vout, day=old.day, amount_sat=old.amount_sat)
            row.update(price_usd=old.price_usd, usd_micro=old.usd_micro)
        RemovedPayment.objects.filter(pk__in=[old.pk for old in back]).delete()


def _quarantine(reading: Reading, difference: Difference, now: datetime) -> None:
    """Note what could not be read, and forget what now was or what the chain does not list any more."""
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
    """Put transactions aside; those that are there already keep their pauses."""
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


def pause(attempts: int) -> timedelta:
    """How long to leave a transaction alone after so many attempts: 4 min, doubling, at most 12 h."""
    return min(FIRST_PAUSE * (1 << min(attempts, 10)), LONGEST_PAUSE)
