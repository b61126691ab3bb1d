"""Build the page of an app with its life, and of an owner with its apps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches

from django.db.models import F, Q

from dashboard.detail_pages import bars, selectors
from dashboard.detail_pages.pages import (
    Fact,
    Thing,
    Unknown,
    day_fact,
    ends,
    known_as,
    limited,
    links,
    pruned_note,
    twin_of,
    url_of,
)
from deployments import stored_block_times
from deployments.models import AppEvent, AppLife, DailySplit, MessageFact
from deployments.selectors import close_names, state_of
from fluxtracker import formatting
from fluxtracker.ranges import Range
from revenue.models import App, LedgerState
from revenue.payments.filters import begins

EVENTS, APPS = 25, 100  # rows on a page; the JSON has all
LOOKED_AT = 2_000  # names with the same prefix
Kind, State = AppEvent.Kind, AppLife.State
KINDS: Mapping[str, str] = {
    Kind.NEW: "registered",
    Kind.REREGISTERED: "registered again",
    Kind.WON_BACK: "won back",
    Kind.RENEWAL: "renewed",
    Kind.CHANGE: "changed",
    Kind.SHORTENED: "shortened",
    Kind.CANCELLED: "cancelled",
    Kind.LOST: "ended, not renewed",
    Kind.IGNORED: "ignored by the network",
}
STATES: Mapping[str, str] = {
    State.RUNNING: "running, paid until",
    State.EXPIRED: "expired on",
    State.CANCELLED: "cancelled on",
    State.UNKNOWN: "unknown",
}
NO_MESSAGE = "No message of this app has been read yet."
NO_TERM = "The term of its last message is not known."


@dataclass(frozen=True, slots=True)
class Step:
    """One event of an app's life, as shown in its table."""

    event: AppEvent
    words: str

    @property
    def usd_micro(self) -> int | None:
        return self.event.usd_micro if self.event.priced else None


def app(name: str, now: datetime, limits: Range | None = None) -> Thing | Unknown:
    """Return an app by case-insensitive name, with its payments in a range. At most eleven queries."""
    life = AppLife.objects.filter(app_key=name.lower()).first()
    rows = dict(App.objects.filter(name__iexact=name, payments__gt=0).order_by("-payments").values_list("name", "pk"))
    if life is None and not rows:
        close = links("app", _names_like(name))
        return Unknown("app", "App", name, "No payment and no message names this app.", close)
    known = life.name if life else next(iter(rows))
    which = Q(app__in=list(rows.values()))
    paid = selectors.by_split(DailySplit.Dimension.APP, {known, *rows}, which)
    query = {"app": next(iter(rows))} if rows else {}
    shown = paid.within(limits)
    course = bars.by_month(shown.months(now.date()), query)
    return Thing(
        "app", "App", known, known, shown.total, [*_life_facts(life, now), *ends(paid)],
        selectors.newest(which, shown.newest()), limited(query, limits), course, twin_of("app", known, query, limits),
        notes=pruned_note(shown.days, LedgerState.last_closed_day()), more={"steps": _steps(life), "most": EVENTS},
    )  # fmt: skip


def _names_like(name: str) -> list[str]:
    """Return similar names of apps, from messages or else from payments."""
    if match := close_names(name):
        return match
    paid = App.objects.filter(name__istartswith=name[:2], payments__gt=0).order_by("-revenue_sat", "name")
    names = {one.lower(): one for one in paid.values_list("name", flat=True)[:LOOKED_AT]}
    return [names[match] for match in get_close_matches(name.lower(), list(names), selectors.CLOSE)]


def _life_facts(life: AppLife | None, now: datetime) -> Iterator[Fact]:
    if life is None:
        yield Fact("State", "", why=NO_MESSAGE)
        return
    yield _state(life, stored_block_times.tip(), now)
    if life.owner:
        yield Fact("Owner", formatting.short(life.owner), url_of("owner", life.owner), life.owner)
    if life.registered_at:
        yield day_fact("Registered", life.registered_at.date())
    if life.end_height is not None:
        yield Fact("Last block", formatting.whole(life.end_height))
    if life.instances is not None:
        yield Fact("Instances ordered", formatting.whole(life.instances))
    yield Fact("Category", life.category)
    if life.image:
        yield Fact("Image", life.image)


def _state(life: AppLife, tip: int, now: datetime) -> Fact:
    state = state_of(life, tip, now)
    if life.end_at is None:
        return Fact("State", STATES[state].removesuffix(" on"), title=NO_TERM)
    return Fact("State", f"{STATES[state]} {formatting.day(life.end_at)}", title=f"{life.end_at:%Y-%m-%d %H:%M} UTC")


def _steps(life: AppLife | None) -> Sequence[Step]:
    """Return the newest events of the app's life."""
    if life is None:
        return []
    events = AppEvent.objects.filter(app=life.app_key).order_by("-position")[:EVENTS]
    return [Step(event, KINDS[event.kind]) for event in events]


def owner(name: str, now: datetime, limits: Range | None = None) -> Thing | Unknown:
    """Return an owner by id, with payments for its messages in a range. At most eleven queries."""
    messages = MessageFact.objects.filter(owner=name)
    lives = list(_apps(name))
    if not lives and not messages.exists():
        close = links("owner", _owners_like(name), short=True)
        return Unknown("owner", "Owner", name, "No app message names this owner.", close)
    which = Q(txid__in=messages.values("txid"))
    paid = selectors.by_split(DailySplit.Dimension.OWNER, [name], which)
    shown, tip, query = paid.within(limits), stored_block_times.tip(), {"owner": name}
    if limits is None:
        newest = list(messages.order_by("-height").values_list("txid", flat=True)[: selectors.NEWEST])
        which = Q(txid__in=newest)
    return Thing(
        "owner", "Owner", name, formatting.short(name), shown.total,
        [Fact("Id", name), *known_as(name), *ends(paid)],
        selectors.newest(which, shown.newest()), limited(query, limits),
        bars.by_month(shown.months(now.date()), query), twin=twin_of("owner", name, query, limits),
        notes=pruned_note(shown.days, LedgerState.last_closed_day()),
        more={"apps": [(life, _state(life, tip, now)) for life in lives[:APPS]], "most": APPS,
              "is_cut": len(lives) > APPS},
    )  # fmt: skip


def _apps(owner: str) -> Collection[AppLife]:
    """Return its current apps, those that run longest first, one more than fit on a page."""
    return AppLife.objects.filter(owner=owner).order_by(F("end_at").desc(nulls_last=True), "app_key")[: APPS + 1]


def _owners_like(name: str) -> list[str]:
    if len(name) < 4:
        return []
    owners = AppLife.objects.filter(begins("owner", name[: selectors.LIKE])).order_by().values_list("owner", flat=True)
    return sorted(owner for owner in owners.distinct()[: selectors.CLOSE] if owner)
