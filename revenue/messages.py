"""What is known of app messages, and the payments that get their names by it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import connection
from django.db.models import OuterRef, Subquery

from fluxtracker.upstream.records import AppMessage
from revenue import ledger
from revenue.models import App, AppType, Message, Payment

BATCH = 10_000  # messages written in one database transaction
FIRST_PAUSE = timedelta(minutes=30)
LONGEST_PAUSE = timedelta(days=1)
ROWS_A_STATEMENT = 1_000
STORE_MESSAGES = """
    INSERT INTO revenue_message (hash, app_id, app_type, attempts) VALUES {rows}
    ON CONFLICT (hash) DO UPDATE SET app_id = excluded.app_id, app_type = excluded.app_type, next_attempt_at = NULL
"""
# The one statement that names thousands of payments in a moment, which the ORM cannot say.
SET_APPS = """
    UPDATE revenue_payment SET app_id = message.app_id, app_type = message.app_type
    FROM revenue_message AS message
    WHERE message.hash = revenue_payment.message_hash AND message.app_id IS NOT NULL
      AND revenue_payment.app_id IS NULL AND revenue_payment.kind = 'app'
"""

T = TypeVar("T")


def name_payments(messages: Collection[AppMessage]) -> int:
    """Remember the messages and name the payments they are for; how many that were."""
    with ledger.writing():
        _store(messages)
        return name_known_payments()


def name_known_payments() -> int:
    """Name every payment whose message is known, also those that came after it; how many that were."""
    app = Message.objects.filter(hash=OuterRef("message_hash")).values("app")[:1]
    known = Payment.objects.unnamed().annotate(known=Subquery(app)).exclude(known=None)
    if not known.exists():  # the usual case takes no lock
        return 0
    with ledger.writing():
        apps = set(known.values_list("known", flat=True).distinct())
        with connection.cursor() as cursor:
            cursor.execute(SET_APPS)
            updated: int = cursor.rowcount
        ledger.recompute_apps(apps)
    return updated


def pause(attempts: int) -> timedelta:
    """How long to wait after so many questions for a message that nobody knew."""
    doublings: int = min(attempts - 1, 10)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def batches(items: list[T], size: int = BATCH) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def note_missing(hashes: Collection[str], now: datetime) -> None:
    """Ask later: after 30 minutes, then each pause twice as long, up to a day."""
    known = Message.objects.in_bulk(list(hashes))
    rows = []
    for message_hash in hashes:
        attempts = known[message_hash].attempts + 1 if message_hash in known else 1
        rows.append(Message(hash=message_hash, attempts=attempts, next_attempt_at=now + pause(attempts)))
    Message.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["hash"], update_fields=["attempts", "next_attempt_at"]
    )


def _store(messages: Collection[AppMessage]) -> None:
    """The messages and their apps as rows."""
    names = {message.app_name for message in messages}
    ids = _app_ids(names)
    App.objects.bulk_create([App(name=name) for name in sorted(names - ids.keys())], ignore_conflicts=True)
    ids |= _app_ids(names - ids.keys())
    for rows in batches(list(messages), ROWS_A_STATEMENT):
        values: list[str | int] = []
        for message in rows:
            values += (message.hash, ids[message.app_name], app_type(message))
        with connection.cursor() as cursor:
            cursor.execute(STORE_MESSAGES.format(rows=", ".join(["(%s, %s, %s, 0)"] * len(rows))), values)


def _app_ids(names: Collection[str]) -> dict[str, int]:
    return dict(App.objects.filter(name__in=names).values_list("name", "id"))


def app_type(message: AppMessage) -> str:
    return AppType.GIT.value if message.is_git else AppType.DOCKER.value
