"""Store facts of app messages, find what depends on them, and reject incomplete reads.

Rules: docs/metrics.md#apps-by-their-messages.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef

from deployments.app_lives import order
from deployments.categories import Catalogue
from deployments.models import ChangedApp, MessageFact
from deployments.splits import daily
from fluxtracker.batches import ROWS, chunks
from fluxtracker.bulk_rows import write_rows
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.messages import PermanentMessage
from fluxtracker.upstream.records import AppSpecification, Term, Unit
from ops.jobs.runs import Run, one_line
from revenue import ledger
from revenue.models import Payment
from revenue.selectors import facts_of

log = structlog.get_logger(__name__)

SETTLED = 120  # blocks, an hour: specifications may be this much older than the newest messages
COPIED = (
    "name", "owner", "version", "instances", "cpu_tenths", "ram_mb", "hdd_gb", "encrypted", "height", "sent_at",
    "txid", "value_sat", "applied",
)  # fmt: skip
"""Columns with the same name as in the message."""
WRITTEN = ("hash", "app_key", "kind", "term", "term_unit", "images", "category", *COPIED)
READ = ("app_key", "hash", "kind", "term", "term_unit", *COPIED)
copied = attrgetter(*COPIED)


def _row(message: PermanentMessage, catalogue: Catalogue) -> tuple[object, ...]:
    """Return the values of the columns WRITTEN."""
    kind = MessageFact.Kind.REGISTER if message.is_registration else MessageFact.Kind.UPDATE
    amount, unit = (message.term.amount, message.term.unit) if message.term else (None, Unit.BLOCKS)
    category = catalogue.category(message.name, message.images, encrypted=message.encrypted)
    values = (message.hash, message.app_key, kind.value, amount, unit.value, list(message.images), category)
    return *values, *copied(message)


def _message(message_hash: str, kind: str, term: int | None, unit: str, *copied_values: Any) -> PermanentMessage:
    """Return the message with these values of the columns READ, without its images."""
    return PermanentMessage(
        hash=message_hash,
        is_registration=kind == MessageFact.Kind.REGISTER,
        term=None if term is None else Term(term, Unit(unit)),
        images=(),
        **dict(zip(COPIED, copied_values, strict=True)),
    )


def of_apps(app_keys: Collection[str]) -> dict[str, list[PermanentMessage]]:
    """Return all messages of these apps, without their images."""
    messages: dict[str, list[PermanentMessage]] = {}
    for keys in chunks(sorted(app_keys)):
        for app_key, *values in MessageFact.objects.filter(app_key__in=keys).values_list(*READ):
            messages.setdefault(app_key, []).append(_message(*values))
    return messages


class Writer:
    """Stores the messages of one read. Of several with one hash, the first in the chain counts."""

    def __init__(self, run: Run, catalogue: Catalogue) -> None:
        self.run, self.catalogue = run, catalogue
        self.read = self.added = self.changed = self.repeated = 0
        self.seen: dict[bytes, int] = {}
        """Height by hash of everything read since `forget`."""

    def store(self, messages: Iterable[PermanentMessage]) -> None:
        """Store messages that are new or have moved in the chain, in one transaction."""
        read: dict[str, PermanentMessage] = {}
        for message in messages:
            self.read += 1
            key, before = bytes.fromhex(message.hash), self.seen.get(bytes.fromhex(message.hash))
            self.repeated += before is not None
            if before is None or message.height < before:
                self.seen[key] = message.height
                read[message.hash] = message
        stored = {
            row[0]: row[1:] for row in MessageFact.objects.filter(hash__in=read).values_list("hash", "height", "txid")
        }
        new = [one for one in read.values() if stored.get(one.hash) != (one.height, one.txid)]
        self.changed += sum(one.hash in stored for one in new)
        self.added += sum(one.hash not in stored for one in new)
        if new:
            self._write(new, {txid for _, txid in stored.values()})

    def forget(self) -> None:
        """Forget the read hashes to free their memory."""
        self.seen.clear()

    def _write(self, new: Sequence[PermanentMessage], txids_before: Collection[str]) -> None:
        with ledger.locked():
            self.run.guard()
            write_rows(MessageFact, WRITTEN, (_row(message, self.catalogue) for message in new), unique=["hash"])
            mark_apps({message.app_key for message in new})
            daily.mark({*txids_before, *(message.txid for message in new)})


def mark_apps(app_keys: Collection[str]) -> None:
    """Mark the lives of these apps for rebuilding."""
    rows = [ChangedApp(app_key=key) for key in sorted(app_keys)]
    ChangedApp.objects.bulk_create(rows, ignore_conflicts=True, batch_size=ROWS)


def days_paid(hashes: Collection[str]) -> set[date]:
    """Return the days of the payments for these messages."""
    days: set[date] = set()
    for batch in chunks(sorted(hashes)):
        txids = set(MessageFact.objects.filter(hash__in=batch).values_list("txid", flat=True))
        days |= {fact.day for fact in facts_of(txids)}
    return days


def prove(specifications: Iterable[AppSpecification], tip: int, run: Run) -> int:
    """Note which messages the network ignored: those after the app's newest one in its specifications.

    Return the number of messages whose status changed.
    """
    in_force = sorted((app.height, app.name.lower(), app.hash) for app in specifications if app.height and app.hash)
    newest = {app_key: message_hash for _, app_key, message_hash in in_force}
    wrong = [
        message
        for app_key, messages in of_apps(newest).items()
        for message in _contradicted(messages, newest[app_key], tip)
    ]
    if wrong:
        with transaction.atomic():
            run.guard()
            for applied in (True, False):
                hashes = [message.hash for message in wrong if message.applied != applied]
                for batch in chunks(hashes):
                    MessageFact.objects.filter(hash__in=batch).update(applied=applied)
            mark_apps({message.app_key for message in wrong})
    return len(wrong)


def _contradicted(messages: Sequence[PermanentMessage], newest: str, tip: int) -> Iterator[PermanentMessage]:
    """Yield messages of an app with a wrong `applied`, given the newest one that counts."""
    in_force = next((message for message in messages if message.hash == newest), None)
    if in_force is None:
        return
    for message in messages:
        is_ignored = order(message) > order(in_force) and message.height <= tip - SETTLED
        if message.applied != (message is in_force or (message.applied and not is_ignored)):
            yield message


HANDFUL = 20  # messages that a reorganisation may remove; this few paid hashes prove nothing
NODES_DIFFER = 0.01  # share of all messages at most: two nodes differed in 0.13 % of 71,000 (2026-09)
PAID_LEAST = 0.25  # share of the paid hashes with a message: nearly all have one
LONG_AGO = timedelta(days=1)  # messages appear up to hours after their payment


class Short(UpstreamError):
    """The answer with all app messages lacks many. Received ones are stored."""

    code = "short"


def require_whole(registry: AppRegistry, read: Collection[bytes], rows: int, now: datetime) -> None:
    """Raise Short if these hashes, of this many rows, are incomplete. They are already stored."""
    reason = _unusable(read, rows) or _fewer_than_stored(read) or _fewer_than_paid(now) or _not_indexed(registry, read)
    if reason:
        raise Short(registry.host, registry.where("/permanentmessages"), reason)


def _unusable(read: Collection[bytes], rows: int) -> str | None:
    return f"none of {rows:,} rows is usable" if rows and not read else None


def _fewer_than_stored(read: Collection[bytes]) -> str | None:
    """Compare with the stored messages, which are permanent: an answer with fewer is cut."""
    stored = MessageFact.objects.count()
    return f"only {len(read):,} of {stored:,} known messages" if _are_many(stored - len(read), stored) else None


def _fewer_than_paid(now: datetime) -> str | None:
    """Compare with the ledger. Two queries."""
    paid = Payment.objects.filter(kind=Payment.Kind.APP, paid_at__lt=now - LONG_AGO).exclude(message_hash="")
    hashes = paid.order_by().values("message_hash").distinct()
    total = hashes.count()
    if total <= HANDFUL:
        return None
    known = hashes.filter(Exists(MessageFact.objects.filter(hash=OuterRef("message_hash")))).count()
    return f"messages of only {known:,} of {total:,} paid hashes" if known <= total * PAID_LEAST else None


def _not_indexed(registry: AppRegistry, read: Collection[bytes]) -> str | None:
    """Compare with the index of hashes; if it cannot be read, nothing is proved."""
    total = missing = 0
    try:
        for message_hash in registry.hashes_with_message():
            total += 1
            missing += bytes.fromhex(message_hash) not in read
    except UpstreamError as error:
        log.info("hashes_later", reason=one_line(error))
        return None
    return (
        f"{missing:,} of {total:,} messages in the index of hashes are missing" if _are_many(missing, total) else None
    )


def _are_many(missing: int, total: int) -> bool:
    return missing > max(HANDFUL, total * NODES_DIFFER)
