"""A ledger with everything that a list of payments can show, and the questions that the tests put to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import cache, partial
from typing import Any

from hypothesis import strategies as st

from revenue.models import Message, Payment
from tests.dashboard.rows import ADDRESS, FLUX, NOW, SENDER, made, store, synced
from tests.factories import SECOND, AppFactory
from tests.remembered import again

TEAM = "t1gjUUxBpBeVC1sWwAFrtSsVCbSaFdZx8UY"
CARD = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5"
OTHER = "t1LMGzWNaaaaaaaaaaaaaaaaaaaaxZ1BeX1"
SENDERS = (SENDER, TEAM, CARD, OTHER, None)
APPS = ("minecraft1510", "Palworld22", "=cmd|' /C calc'!A0", "wordpress7", "ñandú")
KINDS = ("plain", "fluxdrive", "app")
WAITING = "cd" * 32


def ledger(count: int = 120) -> list[Payment]:
    """So many payments of the 40 days before NOW, unevenly spread, some in the same second. Newest first."""
    again(making(count))
    return list(Payment.objects.select_related("app").order_by("-paid_at", "-pk"))


@cache
def making(count: int) -> Callable[[], None]:
    """What makes so many: the same function each time it is asked for."""
    return partial(make, count)


def make(count: int) -> None:
    apps = [AppFactory(name=name) for name in APPS]
    Message.objects.get_or_create(hash=WAITING, defaults={"attempts": 3, "next_attempt_at": NOW + timedelta(hours=2)})
    rows = []
    for number in range(count):
        app = apps[number % 7] if number % 7 < len(apps) else None
        kind = "app" if app else KINDS[number % 3]
        rows.append(
            made(
                number,
                NOW - timedelta(days=number * number % 40, seconds=number // 3),
                app,
                kind=kind,
                message_hash=WAITING if kind == "app" and not app else "",
                address=SECOND if number % 4 == 0 else ADDRESS,
                amount_sat=(1 + number % 11) * FLUX // 4 + (number % 5 == 0),
                from_address=SENDERS[number % 5],
                app_type=("docker", "git", "unknown")[number % 3],
                **({"price_usd": None} if number % 9 == 4 else {}),
            )
        )
    store(rows)
    synced()


def questions() -> st.SearchStrategy[dict[str, Any]]:
    """Queries of the list of payments, all of them valid."""
    day = st.integers(0, 45).map(lambda back: str((NOW - timedelta(days=back)).date()))
    amount = st.sampled_from(["0", "0.25", "1", "1.25000001", "2.75"])
    word = st.sampled_from(["craft", "1.5", "t1gj", "2026-11", "2026-11-02", "nothing of the kind", ADDRESS, "a"])
    keys = {
        "search": word,
        "app": st.sampled_from([*APPS, "nobody"]),
        "type": st.sampled_from(["git", "docker", "unknown"]),
        "from": day,
        "to": day,
        "min_amount": amount,
        "max_amount": amount,
        "sender": st.sampled_from([TEAM, CARD, "t1nobody"]),
        "address": st.sampled_from([ADDRESS, SECOND]),
        "sort": st.sampled_from(["-timestamp", "timestamp", "amount", "-amount", "block_height", "-block_height"]),
    }
    return st.fixed_dictionaries({}, optional=keys).map(in_order)


def in_order(query: dict[str, Any]) -> dict[str, Any]:
    """Ranges the right way round."""
    for first, last in (("from", "to"), ("min_amount", "max_amount")):
        if first in query and last in query and query[first] > query[last]:
            query[first], query[last] = query[last], query[first]
    return query
