"""Bring lives and events in line with messages and payments: of the apps that a change touches, and of no others.

The result depends on what is stored alone, never on the order in which it came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from operator import attrgetter

from django.db.models import F, Q

from deployments import accrual, clock, facts
from deployments.lives import LOST_AFTER, Event, Kind, Life, Paid, build_life, order
from deployments.models import AppEvent, AppLife, ChangedApp, MessageFact, MessagesState
from fluxtracker.batches import chunks
from fluxtracker.block_times import Timeline
from fluxtracker.images import image_name
from fluxtracker.periods import DAY
from fluxtracker.rows import write_rows
from fluxtracker.upstream.messages import PermanentMessage
from fluxtracker.upstream.parsing import MAX_HEIGHT
from ops.jobs.runs import Run
from revenue import ledger, selectors
from revenue.models import Payment

APPS = 500  # of one transaction
MARGIN = timedelta(days=1)  # what the estimated time of a block may be off
COLUMNS = [field.name for field in fields(Event)]
LIFE_COLUMNS = [field.name for field in AppLife._meta.concrete_fields]
told = attrgetter(*COLUMNS)


def touched(days: Collection[date]) -> set[str]:
    """Return the apps whose messages or events the payments of these days concern, or did concern."""
    found: set[str] = set()
    for some in chunks(sorted(selectors.hashes_paid(days))):
        found |= set(MessageFact.objects.filter(hash__in=some).values_list("app_key", flat=True))
    near = {day + DAY * later for day in days for later in (0, 1)}  # an event is never before the one before it
    for few in chunks(sorted(near)):
        paid = AppEvent.objects.filter(day__in=few, payments__gt=0)
        found |= set(paid.values_list("app_id", flat=True))
    return found


def due(since: int, tip: int) -> set[str]:
    """Return the apps that the blocks from `since` to `tip` change: messages that waited, ends that passed."""
    times = clock.timeline()
    lost = AppLife.objects.filter(
        end_at__gt=times.time_of(since) - LOST_AFTER - MARGIN, end_at__lte=times.time_of(tip) - LOST_AFTER
    )
    waited = MessageFact.objects.filter(height__gt=since, height__lte=tip)
    return {*lost.values_list("app_key", flat=True), *waited.values_list("app_key", flat=True)}


def dated_anew(stretch: clock.Stretch) -> set[str]:
    """Return the apps with an event or an end among these blocks."""
    low, high = stretch.low, MAX_HEIGHT if stretch.high is None else stretch.high
    among = Q(height__gt=low, height__lt=high) | Q(end_height__gt=low, end_height__lt=high)
    return set(AppEvent.objects.filter(among).values_list("app_id", flat=True))


def rebuild_changed(run: Run) -> int:
    """Build the lives of all apps that are marked, a batch in a transaction; return how many."""
    done = 0
    while keys := list(ChangedApp.objects.order_by("app_key").values_list("app_key", flat=True)[:APPS]):
        with ledger.writing():
            run.guard()
            rebuild(keys)
            ChangedApp.objects.filter(app_key__in=keys).delete()
        done += len(keys)
        run.progress(f"{done:,} apps")
    return done


def rebuild(app_keys: Collection[str]) -> None:
    """Build the lives of these apps and the accruals that follow from them. In the caller's transaction."""
    times, tip = clock.timeline(), max(clock.tip_of_ledger() or 0, MessagesState.known().tip_height)
    for keys in chunks(sorted(app_keys), APPS):
        _rebuild(keys, times, tip)


def _rebuild(keys: Sequence[str], times: Timeline, tip: int) -> None:
    messages = facts.of_apps(keys)
    paid = _paid(message for found in messages.values() for message in found)
    lives = {key: build_life(messages.get(key, ()), paid, times, tip) for key in keys}
    stored = _stored(keys)
    changed = [key for key in keys if stored.get(key, ()) != lives[key].events]
    accrual.apply_difference([stored.get(key, ()) for key in changed], [lives[key].events for key in changed])
    _write_lives(lives, messages)
    _write_events({key: lives[key].events for key in changed})
    MessagesState.objects.filter(id=1).update(version=F("version") + 1)


def _paid(messages: Iterable[PermanentMessage]) -> dict[tuple[str, str], Paid]:
    """Return what was paid for these messages, by hash and txid."""
    wanted = {(message.hash, message.txid) for message in messages if message.txid}
    found: dict[tuple[str, str], Paid] = {}
    for fact in selectors.facts_of({txid for _, txid in wanted}):
        key = (fact.message_hash, fact.txid)
        if key in wanted and fact.kind == Payment.Kind.APP:
            before = found.get(key) or Paid(fact.paid_at, 0, 0, 0, 0)
            found[key] = Paid(
                min(before.at, fact.paid_at),
                before.payments + fact.payments,
                before.revenue_sat + fact.revenue_sat,
                before.usd_micro + fact.usd_micro,
                before.priced + fact.priced,
                fact.height,
            )
    return found


def _stored(keys: Sequence[str]) -> dict[str, tuple[Event, ...]]:
    """Return the events of these apps as they are stored, in order."""
    found: dict[str, list[Event]] = {}
    rows = AppEvent.objects.filter(app__in=keys).order_by("app", "position").values_list("app_id", *COLUMNS)
    for key, kind, *values in rows:
        found.setdefault(key, []).append(Event(Kind(kind), *values))
    return {key: tuple(events) for key, events in found.items()}


def _write_lives(lives: Mapping[str, Life], messages: Mapping[str, Sequence[PermanentMessage]]) -> None:
    """Store the lives; an app without an event yet has none."""
    there = {key: life for key, life in lives.items() if life.events}
    AppLife.objects.filter(app_key__in=lives.keys() - there.keys()).delete()
    newest = [life.last.hash for life in there.values() if life.last]
    categories = dict(MessageFact.objects.filter(hash__in=newest).values_list("hash", "category"))
    rows = (_life_row(key, max(messages[key], key=order).name, life, categories) for key, life in there.items())
    write_rows(AppLife, LIFE_COLUMNS, map(attrgetter(*LIFE_COLUMNS), rows), unique=["app_key"])


def _life_row(key: str, name: str, life: Life, categories: Mapping[str, str]) -> AppLife:
    row, balance = AppLife(app_key=key, name=name, category="unknown"), accrual.balance(life.events)
    if life.first and life.last:
        row.name, row.owner, row.instances = life.last.name, life.last.owner, life.last.instances
        row.category = categories[life.last.hash]
        row.image = image_name(life.last.images[0]) if life.last.images else ""
        row.registered_height, row.registered_at = life.first.height, life.registered_at
        row.end_height, row.end_at = life.end_height, life.end_at
        row.cancelled, row.weekly = life.cancelled, life.weekly
    if balance:
        row.balance_sat, row.balance_usd_micro, row.balance_at = balance.sat, balance.usd_micro, balance.at
    return row


def _write_events(changed: Mapping[str, Sequence[Event]]) -> None:
    """Replace the events of these apps."""
    AppEvent.objects.filter(app__in=changed).delete()
    rows = (
        (key, position, event.at.date(), *told(event))
        for key, events in changed.items()
        for position, event in enumerate(events, 1)
    )
    write_rows(AppEvent, ("app_id", "position", "day", *COLUMNS), rows)
