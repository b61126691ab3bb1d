"""Find the app and type of a payment from the message hash in its OP_RETURN."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from fluxtracker.api.report_serializers import described
from fluxtracker.batches import ROWS, backoff, chunks
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.records import AppMessage
from revenue import ledger
from revenue.models import AppType, ChangedDay, Message, Payment

BATCH = 10_000  # messages written in one database transaction
FIRST_PAUSE = timedelta(minutes=30)
LONGEST_PAUSE = timedelta(days=1)
STORE_MESSAGES = """
    INSERT INTO revenue_message (hash, app_id, app_type, attempts) VALUES {rows}
    ON CONFLICT (hash) DO UPDATE SET app_id = excluded.app_id, app_type = excluded.app_type, next_attempt_at = NULL
"""
# One statement names thousands of payments at once; the ORM cannot express it.
SET_APPS = """
    UPDATE revenue_payment SET app_id = message.app_id, app_type = message.app_type
    FROM revenue_message AS message
    WHERE message.hash = revenue_payment.message_hash AND message.app_id IS NOT NULL
      AND revenue_payment.app_id IS NULL AND revenue_payment.kind = 'app'
"""


def name_payments(messages: Collection[AppMessage]) -> int:
    """Store the messages and name their payments; return how many."""
    with ledger.writing():
        _store(messages)
        return name_known_payments()


def name_known_payments() -> int:
    """Name every payment with a known message, later ones too; return how many."""
    app = Message.objects.filter(hash=OuterRef("message_hash")).values("app")[:1]
    known = Payment.objects.unnamed().annotate(known=Subquery(app)).exclude(known=None)
    if not known.exists():  # the usual case takes no lock
        return 0
    with ledger.writing():
        apps_and_days = list(known.values_list("known", "day").distinct())
        with connection.cursor() as cursor:
            cursor.execute(SET_APPS)
            updated: int = cursor.rowcount
        ledger.recompute_apps({app for app, _ in apps_and_days})
        ChangedDay.mark(day for _, day in apps_and_days)
    return updated


def note_missing(hashes: Collection[str], now: datetime) -> None:
    """Pause for 30 minutes, then twice as long each time, up to a day."""
    known = Message.objects.in_bulk(list(hashes))
    rows = []
    for message_hash in hashes:
        attempts = known[message_hash].attempts + 1 if message_hash in known else 1
        next_attempt_at = now + backoff(FIRST_PAUSE, attempts, LONGEST_PAUSE)
        rows.append(Message(hash=message_hash, attempts=attempts, next_attempt_at=next_attempt_at))
    Message.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["hash"], update_fields=["attempts", "next_attempt_at"]
    )


def end_pauses(known: QuerySet[Any, Any], now: datetime) -> None:
    """End the pauses of these hashes, so that the next search asks for them. One query."""
    Message.objects.filter(app=None, next_attempt_at__gt=now, hash__in=known).update(next_attempt_at=now)


def _store(messages: Collection[AppMessage]) -> None:
    """Store the messages and their apps."""
    ids = ledger.app_ids({message.app_name for message in messages})
    for rows in chunks(list(messages), ROWS):
        values: list[str | int] = []
        for message in rows:
            values += (message.hash, ids[message.app_name], app_type(message))
        with connection.cursor() as cursor:
            cursor.execute(STORE_MESSAGES.format(rows=", ".join(["(%s, %s, %s, 0)"] * len(rows))), values)


def app_type(message: AppMessage) -> str:
    return AppType.GIT.value if message.is_git else AppType.DOCKER.value


MANY = 50  # unknown hashes above which the dump is cheaper than single requests (docs/contract.md#app-names)
SINGLE_BATCH = 25  # single responses stored together, so the most a kill may lose


@dataclass(frozen=True, slots=True)
class NamesReport:
    """Result of a name search, in payments; `processed` = `updated` + `no_hash` + `not_found`."""

    processed: int
    updated: int
    no_hash: int = field(metadata=described("Payments without a message hash that fit into the batch."))
    not_found: int
    remaining: int
    """Payments in the ledger with a hash and no name, due or pausing."""


@dataclass(frozen=True, slots=True)
class TypesReport:
    """Result of a search for app types, in payments of known apps."""

    updated: int
    unknown: int


@dataclass(slots=True)
class Search:
    """One search of the registry: payments named, and hashes not found."""

    registry: AppRegistry
    now: datetime
    updated: int = 0
    not_found: set[str] = field(default_factory=set)

    def in_dump(self, hashes: Collection[str]) -> None:
        """Look up all hashes in the dump, then in the running apps' specifications: two requests."""
        missing_hashes = set(hashes)
        for source in (self.registry.dump, self.registry.specifications):
            if not missing_hashes:
                break
            messages = source(missing_hashes)
            for batch in chunks(list(messages.values()), BATCH):
                self.updated += name_payments(batch)
            missing_hashes -= messages.keys()
        for missing in chunks(sorted(missing_hashes), BATCH):
            self._note_missing(missing)

    def one_by_one(self, hashes: Sequence[str]) -> None:
        """Look up each hash. Keep earlier results if an upstream fails."""
        for batch in chunks(hashes, SINGLE_BATCH):
            results: dict[str, AppMessage | None] = {}
            try:
                for message_hash in batch:
                    results[message_hash] = self.registry.message(message_hash)
            finally:
                if messages := [message for message in results.values() if message]:
                    self.updated += name_payments(messages)
                self._note_missing([message_hash for message_hash, message in results.items() if message is None])

    def _note_missing(self, hashes: Collection[str]) -> None:
        self.not_found.update(hashes)
        note_missing(hashes, self.now)


def resolve_names(
    *,
    registry: AppRegistry,
    now: datetime,
    limit: int,
    everything: bool = False,
    within: timedelta | None = None,
    fill_dump: bool = False,
) -> NamesReport:
    """Name the newest `limit` payments whose pause is over, and all others with the same hashes.

    `within` limits the search to payments of that time before now. `everything` ignores pauses.
    The dump is read for more than 50 hashes that were never looked up or, with `everything`, more than 50 of any.
    With `fill_dump`, a dump that is read anyway names all payments that are due, not just the newest.
    UpstreamError if the registry fails: earlier results are kept, and nothing counts as not found.
    """
    search = Search(registry, now, updated=name_known_payments())
    waiting = _waiting(now, everything, within)
    rows = list(waiting if everything else waiting[:limit])
    if fill_dump and sum(not asked for _, asked in (waiting if len(rows) == limit else rows)) > MANY:
        rows = list(_waiting(now, everything, None))
    fresh = {message_hash for message_hash, asked in rows if everything or not asked}
    hashes = list(dict.fromkeys(message_hash for message_hash, _ in rows))
    if len(fresh) > MANY:
        search.in_dump(hashes)
    else:
        search.one_by_one(hashes)
    not_found = sum(message_hash in search.not_found for message_hash, _ in rows)
    remaining = Payment.objects.unnamed().count()
    no_hash = Payment.objects.filter(app=None).count() - remaining
    if not everything:
        no_hash = min(no_hash, max(limit - len(rows), 0))
    return NamesReport(
        processed=search.updated + no_hash + not_found,
        updated=search.updated,
        no_hash=no_hash,
        not_found=not_found,
        remaining=remaining,
    )


def retype_apps(*, registry: AppRegistry, now: datetime) -> TypesReport:
    """Look up missing app types; without a message, use the type of the app's other messages."""
    before = _untyped().count()
    hashes = list(_untyped().exclude(message_hash="").values_list("message_hash", flat=True).distinct())
    if len(hashes) > MANY:
        messages = registry.dump(set(hashes))
        messages |= registry.specifications(set(hashes) - messages.keys())
        _retype(list(messages.values()))
    else:
        for message_hash in hashes:
            message = registry.message(message_hash)
            if message is not None:
                _retype([message])
    typed = Message.objects.filter(app=OuterRef("app")).exclude(app_type=AppType.UNKNOWN)
    with ledger.writing():
        _untyped().filter(app__in=Message.objects.exclude(app_type=AppType.UNKNOWN).values("app")).update(
            app_type=Subquery(typed.order_by("hash").values("app_type")[:1])
        )
    unknown = _untyped().count()
    return TypesReport(updated=before - unknown, unknown=unknown)


def _waiting(now: datetime, everything: bool, within: timedelta | None) -> QuerySet[Payment, tuple[str, bool]]:
    """Return message hashes of unnamed payments, newest first, and whether each was asked for before."""
    message = Message.objects.filter(hash=OuterRef("message_hash"))
    waiting = Payment.objects.unnamed().annotate(asked=Exists(message.filter(attempts__gt=0)))
    if not everything:
        waiting = waiting.exclude(Exists(message.filter(next_attempt_at__gt=now)))
    if within is not None:
        waiting = waiting.filter(paid_at__gte=now - within)
    return waiting.order_by("-paid_at", "-id").values_list("message_hash", "asked")


def _untyped() -> QuerySet[Payment]:
    return Payment.objects.filter(app_type=AppType.UNKNOWN).exclude(app=None)


def _retype(messages: Collection[AppMessage]) -> None:
    with ledger.writing():
        for message in messages:
            Message.objects.filter(hash=message.hash).update(app_type=app_type(message))
            Payment.objects.filter(message_hash=message.hash).exclude(app=None).update(app_type=app_type(message))
