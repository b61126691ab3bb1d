"""Select apps and owners with their lives and payments, and effects of messages by day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

from django.db.models import F, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from deployments import stored_block_times
from deployments.app_lives import LOST_AFTER, Kind
from deployments.models import AppEvent, AppLife, DailySplit, KindDay, MessageFact, MessagesState
from fluxtracker.periods import Bucket, split
from metrics.selectors import running_instances
from revenue.models import App, LedgerState, PrunedPayment
from revenue.payments.filters import txids_of_owner
from revenue.querysets import SUMMED
from revenue.selectors import ledger_stamp, pruned_details_note

State = AppLife.State
Report = dict[str, Any]
KINDS = tuple(kind.value for kind in Kind if kind != Kind.IGNORED)
NEAR, LOOKED_AT = 5, 2_000  # names to suggest, among this many with the same prefix
NOT_READ = "The app messages have not been read yet."


def stamp(now: datetime) -> object:
    """Return a stamp that changes with the ledger, the messages and the day. Two small queries."""
    state = MessagesState.objects.values_list("version", "read_at", "catalogue_at").first()
    return ledger_stamp(), state, now.date()


@txids_of_owner
def txids_of(owner: str) -> QuerySet[MessageFact, Any]:
    """Return the transactions of an owner's messages, for a subquery."""
    return MessageFact.objects.filter(owner=owner).values("txid")


@dataclass(frozen=True, slots=True)
class Sums:
    """Payments of an app or owner. `usd_micro` covers the priced ones; None if there are payments but no prices."""

    payments: int
    revenue_sat: int
    usd_micro: int | None
    usd_missing: int
    first: datetime | None
    last: datetime | None

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> Sums:
        """Add up rows with `payments`, `revenue_sat`, `usd_micro`, `priced`, `first`, `last`."""
        there = [row for row in rows if row["payments"]]
        sums = Counter[str]()
        for row in there:
            sums.update({key: row[key] or 0 for key in ("payments", "revenue_sat", "usd_micro", "priced")})
        return cls(
            sums["payments"],
            sums["revenue_sat"],
            sums["usd_micro"] if sums["priced"] or not sums["payments"] else None,
            sums["payments"] - sums["priced"],
            min((row["first"] for row in there if row["first"]), default=None),
            max((row["last"] for row in there if row["last"]), default=None),
        )


def state_of(life: AppLife, tip: int, now: datetime) -> str:
    """Return the state of an app: it still runs in its end block, as in FluxOS 8.17."""
    if life.cancelled:
        return State.CANCELLED.value
    if life.end_at is None:
        return State.UNKNOWN.value
    runs = life.end_at > now if life.end_height is None else life.end_height >= tip
    return (State.RUNNING if runs else State.EXPIRED).value


def find_app(name: str, now: datetime) -> Report | None:
    """Return everything about an app, case-insensitive, None if no message and no payment names it."""
    key = name.lower()
    life = AppLife.objects.filter(app_key=key).first()
    names = list(App.objects.filter(name__iexact=name).order_by("-payments", "name").values_list("name", flat=True))
    events = list(AppEvent.objects.filter(app=key).order_by("position"))
    spelled = {*names, *([life.name] if life else [])}
    payments = _payments(name, [event.txid for event in events if event.txid], spelled)
    if life is None and not payments.payments:
        return None
    row = life or AppLife(app_key=key, name=names[0] if names else name, category="unknown")
    notes = {} if life else {"life": "No message of this app is known yet."}
    if life and life.end_at is None:
        notes["end"] = "The term of its last message is not known."
    if lost := pruned_details_note():
        notes["payments"] = lost
    running = running_instances([key])
    return {
        "app": row,
        "state": state_of(row, stored_block_times.tip(), now),
        "running": running.of(key),
        "payments": payments,
        "life": events,
        "notes": notes | ({} if running.at else {"instances.running": "The census has not been taken yet."}),
        **coverage(),
    }


def _payments(name: str, txids: list[str], spelled: Collection[str]) -> Sums:
    """Return the payments for an app: the ledger's rows by its name, and pruned ones.

    Pruned ones are known from the app's messages and, without a message, from daily splits without a time of day.
    """
    rows = App.objects.filter(name__iexact=name, payments__gt=0)
    open_rows = rows.values(
        "payments", "revenue_sat", "usd_micro", "priced", first=F("first_paid_at"), last=F("last_paid_at")
    )
    pruned = PrunedPayment.objects.filter(txid__in=txids).order_by().values("app")
    pruned_rows = list(
        pruned.annotate(
            revenue_sat=Sum("amount_sat"), priced=Sum("priced"), first=Min("paid_at"), last=Max("paid_at"),
            payments=Sum("payments"), usd_micro=Sum("usd_micro"),
        )
    )  # fmt: skip
    return Sums.of([*open_rows, *pruned_rows, _without_message(spelled, pruned_rows)])


def _without_message(spelled: Collection[str], pruned: Iterable[Mapping[str, Any]]) -> Report:
    """Return the app's part in the splits of pruned days beyond its messages."""
    closed = LedgerState.known().closed_through
    days = DailySplit.objects.filter(dimension=DailySplit.Dimension.APP, key__in=spelled, day__lte=closed or date.min)
    whole = days.aggregate(**{name: Coalesce(Sum(name), 0) for name in SUMMED})
    rest = {name: max(total - sum(row[name] or 0 for row in pruned), 0) for name, total in whole.items()}
    return {**rest, "first": None, "last": None}


def close_names(name: str) -> list[str]:
    """Return similar names of apps."""
    key = name.lower()
    alike = AppLife.objects.filter(app_key__startswith=key[:2]).order_by("-registered_at", "app_key")
    names = dict(alike.values_list("app_key", "name")[:LOOKED_AT])
    return [names[match] for match in get_close_matches(key, list(names), NEAR)]


def coverage(state: MessagesState | None = None) -> Report:
    """Return the coverage of answers about messages, and its time."""
    state = state or MessagesState.known()
    counts = {key: value for key, value in state.coverage.items() if isinstance(value, int)}
    left_out = sum(state.coverage.get("leftOut", {}).values())
    return {"coverage": counts | {"leftOut": left_out}, "as_of": state.read_at}


def owned(owner: str) -> list[dict[str, Any]]:
    """Return one row per app with messages of this owner, and the payments for these."""
    keys = MessageFact.objects.filter(owner=owner).values("app_key")
    rows = (
        AppEvent.objects.filter(app__in=keys, owner=owner)
        .order_by()
        .values("app")
        .annotate(
            name=F("app__name"),
            sum_payments=Sum("payments"),
            sum_sat=Sum("revenue_sat"),
            sum_micro=Sum("usd_micro"),
            sum_priced=Sum("priced"),
            first=Min("at", filter=Q(payments__gt=0)),
            last=Max("at", filter=Q(payments__gt=0)),
        )
    )
    return [dict(row) for row in rows]


def kinds(first: date, last: date, bucket: Bucket, now: datetime) -> Report:
    """Return effects of messages in a range of days by kind. Two queries."""
    rows = KindDay.objects.filter(day__gte=first, day__lte=last, kind__in=KINDS)
    by_day: defaultdict[date, dict[str, list[int]]] = defaultdict(dict)
    for day, kind, *values in rows.values_list("day", "kind", "messages", *SUMMED):
        by_day[day][kind] = values
    state = MessagesState.known()
    known_until = now.date() if state.complete_at else date.min
    decided_until = min(known_until, (min(now, state.read_at or now) - LOST_AFTER).date())
    data = []
    for span in split(first, last, bucket):
        by_kind: defaultdict[str, list[list[int]]] = defaultdict(list)
        for day in span.days():
            for kind, values in by_day.get(day, {}).items():
                by_kind[kind].append(values)
        row: Report = {"date": span.first}
        for kind in KINDS:
            is_known = span.first <= (decided_until if kind == Kind.LOST else known_until)
            row[kind] = _kind(by_kind.get(kind, ())) if is_known else UNKNOWN_KIND
        data.append(row)
    return {"data": data, "notes": _notes_on_kinds(last, known_until, decided_until), **coverage(state)}


def _notes_on_kinds(last: date, known_until: date, decided_until: date) -> dict[str, str]:
    if known_until == date.min:
        return {"data": NOT_READ}
    notes = {} if last <= known_until else {"data": "Days to come are not known yet."}
    if last >= decided_until:
        notes["lost"] = f"An app counts as lost 7 days after its end: from {decided_until} on, more may follow."
    return notes


NO_MESSAGE = {"count": 0, "sat": 0, "usd_micro": 0, "usd_missing": 0}
UNKNOWN_KIND = {"count": None, "sat": None, "usd_micro": None, "usd_missing": 0}


def _kind(days: Sequence[list[int]]) -> Report:
    """Return the sums of the messages of one kind."""
    if not days:
        return NO_MESSAGE
    count, sat, paid, micro, priced = days[0] if len(days) == 1 else map(sum, zip(*days, strict=True))
    return {
        "count": count,
        "sat": sat,
        "usd_micro": micro if priced or not paid else None,
        "usd_missing": paid - priced,
    }


NO_COHORTS: Report = {
    "cohorts": [], "medianLifeDays": None, "netRetention": None, "apps": 0, "owners": {}, "concentration": {},
    "retention": {}, "period": {},
}  # fmt: skip


def cohorts(plan: str) -> Report:
    """Return the cohorts of the last message sync. One query."""
    state = MessagesState.known()
    report: Report | None = state.cohorts.get(plan)
    notes: dict[str, str] = {}
    if report is None:
        report = dict(NO_COHORTS)
        notes["cohorts"] = NOT_READ
    elif report["medianLifeDays"] is None:
        notes["medianLifeDays"] = "At least half of the apps are still there."
    if report["netRetention"] is None:
        notes["netRetention"] = "No app with a price was in force when the period began."
    return NO_COHORTS | report | {"notes": notes, **coverage(state)}
