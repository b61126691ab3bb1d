"""Rebuild lives and events from messages and payments, only for apps affected by a change.

The result depends only on stored data, never on its order of arrival.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from itertools import accumulate
from operator import attrgetter
from typing import Any

from django.db.models import Count, F, Q

from deployments import accrual, message_facts, stored_block_times
from deployments.accrual import Balance
from deployments.app_lives import LOST_AFTER, Event, Kind, Life, Paid, build_life, order
from deployments.models import AppEvent, AppLife, ChangedApp, KindDay, MessageFact, MessagesState
from deployments.splits.daily import NOTHING
from fluxtracker.batches import chunks
from fluxtracker.block_times import Timeline
from fluxtracker.bulk_rows import write_rows
from fluxtracker.images import image_name
from fluxtracker.periods import DAY
from fluxtracker.upstream.messages import PermanentMessage
from fluxtracker.upstream.parsing import MAX_HEIGHT
from ops.jobs.runs import Run
from revenue import ledger, selectors
from revenue.querysets import SUMMED

APPS = 1_000  # at most, in one transaction, which blocks other writers
MESSAGES = 20_000  # at most, of several apps in one transaction
MARGIN = timedelta(days=1)  # error of an estimated block time
COLUMNS = [field.name for field in fields(Event)]
LIFE_COLUMNS = [field.name for field in AppLife._meta.concrete_fields]
values_of = attrgetter(*COLUMNS)
summed = attrgetter(*SUMMED)

Key = tuple[str, str]
"""Message hash and txid of a payment."""


def touched(days: Collection[date]) -> set[str]:
    """Return apps with events that differ from the payments of these days for their messages.

    Includes an event moved past its payment to follow the previous event, which is harmless.
    """
    apps: set[str] = set()
    for batch in chunks(sorted(days)):
        apps |= _touched(batch)
    return apps


def _touched(days: Sequence[date]) -> set[str]:
    rows = MessageFact.objects.filter(selectors.is_hash_paid(days)).values_list("hash", "txid", "app_key")
    apps = {(message_hash, txid): app_key for message_hash, txid, app_key in rows}
    stored = _stored_payments(days)
    if not stored:
        return set(apps.values())
    paid = _paid(Q(day__in=days))
    for batch in chunks(sorted({txid for _, txid in stored.keys() - paid.keys()})):
        paid |= _paid(Q(txid__in=batch))
    wrong = {app for key, (app, expected) in stored.items() if paid.get(key) != expected}
    return wrong | {apps[key] for key in apps.keys() & (paid.keys() - stored.keys())}


def _stored_payments(days: Sequence[date]) -> dict[Key, tuple[str, Paid | None]]:
    """Return app and payment of each event paid for on these days, by the event or by the ledger."""
    columns = ("at", "payments", "revenue_sat", "usd_micro", "priced", "height")
    near = {day + DAY * later for day in days for later in (0, 1)}  # an event is never earlier than the previous one
    events = AppEvent.objects.order_by().values_list("message_hash", "txid", "app_id", *columns)
    payments: dict[Key, tuple[str, Paid | None]] = {}
    for which in (selectors.is_hash_paid(days, "message_hash"), Q(day__in=sorted(near), payments__gt=0)):
        for message_hash, txid, app, *sums in events.filter(which):
            paid = Paid(*sums)
            payments[message_hash, txid] = app, paid if paid.payments else None
    return payments


def due(since: int, tip: int) -> set[str]:
    """Return apps changed by the blocks from `since` to `tip`: waiting messages, passed ends."""
    times = stored_block_times.timeline()
    lost = AppLife.objects.filter(
        end_at__gt=times.time_of(since) - LOST_AFTER - MARGIN, end_at__lte=times.time_of(tip) - LOST_AFTER
    )
    waited = MessageFact.objects.filter(height__gt=since, height__lte=tip)
    return {*lost.values_list("app_key", flat=True), *waited.values_list("app_key", flat=True)}


def dated_again(stretch: stored_block_times.Stretch) -> set[str]:
    """Return apps with an event or an end in these blocks."""
    low, high = stretch.low, MAX_HEIGHT if stretch.high is None else stretch.high
    among = Q(height__gt=low, height__lt=high) | Q(end_height__gt=low, end_height__lt=high)
    return set(AppEvent.objects.filter(among).values_list("app_id", flat=True))


def rebuild_changed(run: Run) -> int:
    """Build the lives of all marked apps, one batch per transaction; return how many."""
    done = 0
    while keys := _next():
        with ledger.writing():
            run.guard()
            rebuild(keys)
            ChangedApp.objects.filter(app_key__in=keys).delete()
        done += len(keys)
        run.progress(f"{done:,} apps")
    return done


def _next() -> list[str]:
    """Return the marked apps of the next transaction."""
    keys = list(ChangedApp.objects.order_by("app_key").values_list("app_key", flat=True)[:APPS])
    counts = MessageFact.objects.filter(app_key__in=keys).order_by().values_list("app_key").annotate(Count("pk"))
    messages = dict(counts)
    sums = accumulate(messages.get(key, 0) for key in keys)
    return [key for place, (key, sum_) in enumerate(zip(keys, sums, strict=True)) if not place or sum_ <= MESSAGES]


def rebuild(app_keys: Collection[str]) -> None:
    """Build the lives of these apps and their accruals. Call inside a transaction."""
    times, tip = stored_block_times.timeline(), stored_block_times.tip()
    for keys in chunks(sorted(app_keys), APPS):
        _rebuild(keys, times, tip)


def _rebuild(keys: Sequence[str], times: Timeline, tip: int) -> None:
    messages = message_facts.of_apps(keys)
    paid = _paid(Q(txid__in=MessageFact.objects.filter(app_key__in=keys).values("txid")))
    lives = {key: build_life(messages.get(key, ()), paid, times, tip) for key in keys}
    stored = _stored(keys)
    changed = [key for key in keys if stored.get(key, ()) != lives[key].events]
    after = accrual.apply_difference([stored.get(key, ()) for key in changed], [lives[key].events for key in changed])
    left = dict(zip(changed, after, strict=True))
    _write_lives(lives, messages, {key: one.balance for key, one in left.items()})
    _write_events({key: (stored.get(key, ()), lives[key].events, left[key].usd_micro) for key in changed})
    MessagesState.objects.filter(id=1).update(version=F("version") + 1)


def _paid(which: Q) -> dict[Key, Paid]:
    """Return payments for messages by hash and txid."""
    totals: dict[Key, Paid] = {}
    for message_hash, txid, at, height, sat, payments, usd_micro, priced in selectors.message_payments(which):
        key, paid = (message_hash, txid), Paid(at, payments, sat, usd_micro, priced, height)
        totals[key] = totals[key] + paid if key in totals else paid
    return totals


def _stored(keys: Sequence[str]) -> dict[str, tuple[Event, ...]]:
    """Return the stored events of these apps, in order."""
    by_app: dict[str, list[Event]] = {}
    rows = AppEvent.objects.filter(app__in=keys).order_by("app", "position").values_list("app_id", *COLUMNS)
    for key, kind, *values in rows:
        by_app.setdefault(key, []).append(Event(Kind(kind), *values))
    return {key: tuple(events) for key, events in by_app.items()}


def _write_lives(
    lives: Mapping[str, Life],
    messages: Mapping[str, Sequence[PermanentMessage]],
    balances: Mapping[str, Balance | None],
) -> None:
    """Store the lives of apps with events. `balances`: of those with changed events."""
    there = {key: life for key, life in lives.items() if life.events}
    AppLife.objects.filter(app_key__in=lives.keys() - there.keys()).delete()
    newest = [life.last.hash for life in there.values() if life.last]
    newest_facts = MessageFact.objects.filter(hash__in=newest).values_list("hash", "category", "images")
    facts = {message_hash: fact for message_hash, *fact in newest_facts}
    rows = (
        _life_row(
            AppLife(app_key=key, name=max(messages[key], key=order).name, category="unknown"),
            life,
            facts,
            balances[key] if key in balances else accrual.balance(life.events),
        )
        for key, life in there.items()
    )
    write_rows(AppLife, LIFE_COLUMNS, map(attrgetter(*LIFE_COLUMNS), rows), unique=["app_key"])


def _life_row(row: AppLife, life: Life, facts: Mapping[str, Sequence[Any]], balance: Balance | None) -> AppLife:
    """Fill the row. `facts`: category and images by the hash of the newest message."""
    if life.first and life.last:
        row.name, row.owner, row.instances = life.last.name, life.last.owner, life.last.instances
        row.category, images = facts[life.last.hash]
        row.image = image_name(images[0]) if images else ""
        row.registered_height, row.registered_at = life.first.height, life.registered_at
        row.end_height, row.end_at = life.end_height, life.end_at
        row.cancelled, row.weekly = life.cancelled, life.weekly
    if balance:
        row.balance_sat, row.balance_usd_micro, row.balance_at = balance.sat, balance.usd_micro, balance.at
    return row


def _write_events(changed: Mapping[str, tuple[Sequence[Event], Sequence[Event], Sequence[int]]]) -> None:
    """Replace the events of these apps from the first difference on, usually one new event at the end.

    Each has the balance left after it, which depends on no later event. Updates sums by day and kind.
    """
    rows: list[tuple[object, ...]] = []
    kinds: defaultdict[tuple[date, str], list[int]] = defaultdict(lambda: [0, *NOTHING])
    for key, (before, after, left) in changed.items():
        same = next((place for place, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), None)
        same = min(len(before), len(after)) if same is None else same
        if same < len(before):
            AppEvent.objects.filter(app=key, position__gt=same).delete()
        for place in range(same, len(after)):
            event = after[place]
            rows.append((key, place + 1, event.at.date(), left[place], added_s(event), *values_of(event)))
        for sign, events in ((-1, before[same:]), (1, after[same:])):
            for event in events:
                sums = kinds[event.at.date(), event.kind]
                sums[:] = (total + sign * value for total, value in zip(sums, (1, *summed(event)), strict=True))
    write_rows(AppEvent, ("app_id", "position", "day", "left_usd_micro", "added_s", *COLUMNS), rows)
    changes = ((*key, *sums) for key, sums in kinds.items() if any(sums))
    write_rows(KindDay, ("day", "kind", "messages", *SUMMED), changes, unique=["day", "kind"], add=True)


def added_s(event: Event) -> int:
    """Return the seconds that a message adds to its app's life."""
    if event.end_at is None or not accrual.is_assigned(event):
        return 0
    since = max(event.at, event.previous_end_at or event.at)
    return max(int((event.end_at - since).total_seconds()), 0)
