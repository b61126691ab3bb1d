"""Build the page of a sender, transaction, day or block: facts, payments and neighbours."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.conf import settings
from django.db.models import F, Q
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from dashboard.detail_pages import bars, selectors
from dashboard.detail_pages.bars import Bars
from dashboard.detail_pages.selectors import Bar, Paid, Row
from dashboard.panels.payments.filters import PLACE
from dashboard.panels.payments.rows import WALLETS
from dashboard.panels.periods import RANGE
from fluxtracker import formatting
from fluxtracker.periods import DAY, Bucket, Period, midnight
from fluxtracker.ranges import Range
from fluxtracker.upstream.parsing import MAX_HEIGHT
from revenue.models import DailyPrice, Label, LedgerState, PrunedPayment
from revenue.payments.pagination import tip_height
from revenue.period_totals import Sums, Totals
from revenue.selectors import transaction_url

Query = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact about a thing. Without `words` it is not known, and `why` says why."""

    label: str
    words: str
    url: str = ""
    title: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing with a page. `name` is its canonical spelling; others redirect to it."""

    kind: str
    noun: str
    name: str
    title: str
    sums: Sums
    facts: Sequence[Fact]
    rows: Sequence[Row] = ()
    query: Query = field(default_factory=dict)
    """Filter for the payments of the thing, if there is one."""
    course: Bars | None = None
    twin: str = ""
    """URL of the same as JSON."""
    around: Sequence[tuple[str, str, str]] = ()
    """Neighbours: `rel`, words, URL."""
    notes: Sequence[str] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return url_of(self.kind, self.name)

    @property
    def panel(self) -> str:
        return f"{reverse('dashboard:home')}?{urlencode(self.query)}{PLACE}" if self.query else ""

    @property
    def csv(self) -> str:
        return f"{reverse('dashboard:export-payments-csv')}?{urlencode(self.query)}" if self.query else ""

    @property
    def description(self) -> str:
        """Return one sentence for a share card."""
        sums = self.sums
        if sums.payments is None or sums.revenue_sat is None:
            return f"{self.noun} {self.title} on Fluxtracker: not read yet."
        usd = f", {formatting.usd(sums.usd_micro)}" if sums.usd_micro is not None else ""
        paid = f"{formatting.plural(sums.payments, 'payment')}, {formatting.flux(sums.revenue_sat)} FLUX{usd}"
        return f"{self.noun} {self.title}: {paid}."


@dataclass(frozen=True, slots=True)
class Unknown:
    """A missing thing, with similar ones: words and URL."""

    kind: str
    noun: str
    name: str
    why: str
    close: Sequence[tuple[str, str]] = ()


def url_of(kind: str, name: str) -> str:
    return reverse(f"dashboard:{kind}", args=[name])


def links(kind: str, names: Collection[str], short: bool = False) -> list[tuple[str, str]]:
    return [(formatting.short(name) if short else name, url_of(kind, name)) for name in names]


def known_as(subject: str) -> list[Fact]:
    """Return the label of an address or an owner. At most one query."""
    wallet = WALLETS.get(subject)
    if wallet:
        return [Fact("Known as", wallet.short, title=wallet.meaning)]
    labels = Label.objects.filter(subject=subject).order_by(F("valid_from").desc(nulls_last=True))
    return [Fact("Known as", words) for words in labels.values_list("words", flat=True)[:1]]


def twin(view: str, name: str) -> str:
    """Return the URL of the thing as JSON, empty if the API has none for such a name."""
    try:
        return reverse(view, args=[name])
    except NoReverseMatch:
        return ""


def transactions(**query: str) -> str:
    """Return the URL of matching payments as JSON."""
    return f"{reverse('transactions')}?{urlencode(query)}"


def limited(query: Mapping[str, str], limits: Range | None) -> dict[str, str]:
    """Return a payment filter limited to a range."""
    return {**query, **({RANGE: limits.text} if limits else {})}


def twin_of(kind: str, name: str, query: Mapping[str, str], limits: Range | None) -> str:
    """Return the URL of the thing as JSON or, with a range, of its payments."""
    return transactions(**limited(query, limits)) if limits and query else twin(kind, name)


def day_fact(label: str, day: date) -> Fact:
    return Fact(label, formatting.day(day), url_of("day", str(day)))


def ends(paid: Paid) -> list[Fact]:
    """Return the first and the last day with a payment."""
    return [day_fact(*pair) for pair in zip(("First payment", "Last payment"), paid.ends or (), strict=False)]


def pruned_note(days: Collection[date], closed_through: date | None) -> list[str]:
    """Return from when on single payments are stored, if some of these days are earlier."""
    if closed_through is None or not days or min(days) > closed_through:
        return []
    return [f"Individual payments go back to {formatting.day(closed_through + DAY)}; before that only totals are kept."]


def payer(address: str, now: datetime, limits: Range | None = None) -> Thing | Unknown:
    """Return a paying address, with its payments in a range. At most seven queries."""
    paid = selectors.by_sender(address)
    if not paid.days:
        close = links("payer", selectors.senders_like(address), short=True)
        return Unknown("payer", "Sender", address, "No payments from this address.", close)
    shown, query = paid.within(limits), {"sender": address}
    return Thing(
        "payer", "Sender", address, formatting.short(address), shown.total,
        [Fact("Address", address), *known_as(address), *ends(paid)],
        selectors.newest(Q(from_address=address), shown.newest()), limited(query, limits),
        bars.by_month(shown.months(now.date()), query),
        twin_of("payer", address, query, limits),
        notes=pruned_note(shown.days, LedgerState.last_closed_day()),
    )  # fmt: skip


def tx(txid: str, now: datetime) -> Thing | Unknown:
    """Return a transaction with all its outputs to tracked addresses. At most five queries."""
    rows = selectors.outputs(Q(txid=txid.lower()))
    if rows:
        return _transaction(rows, [Fact("Confirmations", *_confirmations(rows[0]["height"]))])
    left = selectors.pruned_transaction(txid.lower())
    if left is not None:
        return _pruned(left)
    close = links("tx", selectors.transactions_like(txid), short=True)
    return Unknown("tx", "Transaction", txid, "No payment in the ledger has this transaction id.", close)


def _confirmations(height: int) -> tuple[str, str, str, str]:
    tip = tip_height()
    why = "" if tip is not None else "The chain's tip has not been read yet."
    return "" if tip is None else formatting.whole(max(tip - height + 1, 0)), "", "", why


def _transaction(rows: list[Row], more: list[Fact]) -> Thing:
    row = rows[0]
    facts = _about(row["txid"], row["height"], row["from_address"], row["app"], row["message_hash"], row["paid_at"])
    query = {"search": row["txid"]}
    twin, title = transactions(**query), formatting.short(row["txid"])
    return Thing(
        "tx", "Transaction", row["txid"], title, selectors.added(rows), [*facts, *more], rows, query, twin=twin
    )


def _pruned(left: PrunedPayment) -> Thing:
    app = left.app.name if left.app else None
    facts = _about(left.txid, left.height, left.from_address, app, left.message_hash, left.paid_at)
    usd_micro = left.usd_micro if left.priced else None
    sums = Sums(left.amount_sat, left.payments, usd_micro, left.payments - left.priced)
    notes = ["Its single payments are no longer kept; this is their sum."]
    title = formatting.short(left.txid)
    return Thing(
        "tx", "Transaction", left.txid, title, sums, list(facts), twin=transactions(search=left.txid), notes=notes
    )


def _about(
    txid: str, height: int, sender: str | None, app: str | None, message: str, paid_at: datetime
) -> Iterator[Fact]:
    yield Fact("Transaction id", txid, transaction_url(txid), "At the block explorer" if not settings.DEMO else "")
    yield Fact("Time", f"{paid_at:%Y-%m-%d %H:%M:%S} UTC", url_of("day", str(paid_at.date())))
    yield Fact("Block", formatting.whole(height), url_of("block", str(height)))
    if app is not None:
        yield Fact("App", app, app_url(app))
    if sender is None:
        yield Fact("Sender", "", why="The transaction names no sender.")
    else:
        yield Fact("Sender", formatting.short(sender), url_of("payer", sender), sender)
    if message:
        yield Fact("App message", formatting.short(message), title=message)


def app_url(name: str) -> str:
    return url_of("app", name)


def block(text: str, now: datetime) -> Thing | Unknown:
    """Return a block with its payments. At most five queries."""
    height = min(int(text), MAX_HEIGHT) if text.isascii() and text.isdecimal() else 0
    rows = selectors.outputs(Q(height=height))
    below, above = selectors.around(height)
    if not rows:
        close = [(f"Block {formatting.whole(one)}", url_of("block", str(one))) for one in (below, above) if one]
        return Unknown("block", "Block", text, "No payment in the ledger is in this block.", close)
    paid_at = selectors.paid_at(rows)
    facts = [
        Fact("Time", f"{paid_at:%Y-%m-%d %H:%M:%S} UTC", url_of("day", str(paid_at.date()))),
        Fact("Confirmations", *_confirmations(height)),
        *([Fact("Block hash", rows[0]["block_hash"])] if rows[0]["block_hash"] else []),
    ]
    return Thing(
        "block", "Block", str(height), formatting.whole(height), selectors.added(rows), facts, rows,
        twin=transactions(block=str(height)), query={"block": str(height)},
        around=_around("block", [(one, formatting.whole(one)) for one in (below, above) if one], height),
    )  # fmt: skip


def _around(kind: str, near: Sequence[tuple[Any, str]], here: Any) -> list[tuple[str, str, str]]:
    return [("prev" if key < here else "next", words, url_of(kind, str(key))) for key, words in near]


def day(text: str, now: datetime) -> Thing | Unknown:
    """Return a UTC day, with the bars of its month. At most seven queries."""
    first = selectors.first_day()
    parsed, nearest = selectors.read_day(text, first, now.date())
    if parsed is None or first is None:
        close = [(formatting.day(nearest), url_of("day", str(nearest)))] if nearest else []
        return Unknown("day", "Day", text, _why_no_day(first), close)
    month = Period.containing(Bucket.MONTH, midnight(parsed))
    totals = Totals.load(month.first_day, month.last_day)
    report = totals.day(parsed, now)
    query = {"from": str(parsed), "to": str(parsed)}
    near = [one for one in (parsed - DAY, parsed + DAY) if first <= one <= now.date()]
    return Thing(
        "day", "Day", str(parsed), f"{parsed:%a} {formatting.day(parsed)}", report.sums,
        [_state(report.complete, parsed, now), _price(parsed)],
        selectors.newest(Q(), [parsed]), query, bars.by_day(_of_month(totals, month, parsed, first, now)),
        transactions(**query), _around("day", [(one, formatting.day(one)) for one in near], parsed),
        pruned_note([parsed], totals.ledger.closed_through),
    )  # fmt: skip


def _why_no_day(first: date | None) -> str:
    if first is None:
        return "The ledger is empty."
    return f"The ledger has the days from {formatting.day(first)} to today."


def _state(complete: bool, day: date, now: datetime) -> Fact:
    if complete:
        return Fact("State", "complete")
    return Fact("State", "in progress" if day == now.date() else "not complete yet")


def _price(day: date) -> Fact:
    price = DailyPrice.objects.filter(day=day).values_list("price_usd", flat=True).first()
    words = "" if price is None else f"{formatting.price(price)} for 1 FLUX"
    return Fact("Closing price", words, why="" if words else "No closing price of this day is known yet.")


def _of_month(totals: Totals, month: Period, selected: date, first: date, now: datetime) -> list[Bar]:
    days = [one for one in month.days() if first <= one <= now.date()]
    reports = [totals.day(one, now) for one in days]
    return [Bar(one.day, one.day, one.sums, not one.complete, one.day == selected) for one in reports]
