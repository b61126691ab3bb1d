"""The largest figure of the page: what was earned in this period so far, and whether that is more than before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from dashboard.panels.figures import COUNT, Change, Figure, Form, Sparks, Words, change
from fluxtracker import formatting
from fluxtracker.periods import Bucket

NEVER = "No sync has completed yet."
NAMES: Mapping[Bucket, tuple[str, str]] = {  # this period, the one before
    Bucket.DAY: ("today", "yesterday"),
    Bucket.WEEK: ("this week", "last week"),
    Bucket.MONTH: ("this month", "last month"),
    Bucket.QUARTER: ("this quarter", "last quarter"),
    Bucket.YEAR: ("this year", "last year"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One of FLUX, dollars and payments: now, against the like-for-like part and against the whole period before."""

    figure: Figure
    before: str
    """The like-for-like part of the period before, with its unit; empty when nobody knows it."""
    whole: str
    """The whole period before, with its unit."""
    whole_change: Change | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Earnings:
    """`this` and `last` name the periods, the ranges say from when to when."""

    this: str
    last: str
    range: str
    like_range: str
    whole_range: str
    whole_days: bool
    is_whole_complete: bool
    """Whether the period before is over by the chain's time, with every payment of it."""
    flux: Line
    usd: Line
    payments: Line
    as_of: datetime | None
    late: str
    """What to say when the ledger is not fresh; empty when it is."""

    @property
    def title(self) -> str:
        """For the title of the page: `▲ +8.0 % · 31,204.55 FLUX this week`."""
        if not self.flux.figure.value:
            return "Revenue not known yet"
        moved = self.flux.figure.change
        share = moved.words.partition("(")[2].rstrip(")") if moved else ""
        said = f"{moved.arrow} {share} · " if moved and share else ""
        return f"{said}{self.flux.figure.value} FLUX {self.this}"


FLUX = Form(formatting.coins, lambda value: f"{formatting.coins(value, 8)} FLUX", formatting.coins)
USD = Form(formatting.dollars, formatting.dollars, formatting.dollars)

SAID: Mapping[str, Words] = {  # in a sentence
    "revenue_flux": lambda value: f"{formatting.coins(value)} FLUX",
    "revenue_usd": formatting.dollars,
    "payments": lambda value: formatting.plural(int(value), "payment"),
}


def earnings(bucket: Bucket, answer: Mapping[str, Any], sparks: Sparks) -> Earnings:
    """From the `revenue` part of a comparison."""
    like = answer["toDate"]
    as_of = _instant(answer["asOf"])
    why = _why_unknown(as_of)
    this, last = NAMES[bucket]
    return Earnings(
        this=this,
        last=last,
        range=_so_far(like["current"]),
        like_range=_stretch(like["previous"]),
        whole_range=_days(answer["previous"]),
        whole_days=like["wholeDays"],
        is_whole_complete=bool(answer["previous"].get("complete")),
        flux=_line("revenue_flux", "FLUX", "amount", FLUX, answer["flux"], like["flux"], why, sparks),
        usd=_usd(answer["usd"], like["usd"], like["payments"]["count"], why, sparks),
        payments=_line("payments", "Payments", "count", COUNT, answer["payments"], like["payments"], why, sparks),
        as_of=as_of,
        late=_late(as_of) if answer["stale"] else "",
    )


def _late(as_of: datetime | None) -> str:
    return f"No sync has completed since {formatting.moment(as_of)}: newer payments are missing." if as_of else ""


def _why_unknown(as_of: datetime | None) -> str:
    return NEVER if as_of is None else f"Not read yet: the last complete sync was on {formatting.moment(as_of)}."


def _line(
    metric: str,
    label: str,
    key: str,
    form: Form,
    whole: Mapping[str, Any],
    like: Mapping[str, Any],
    why: str,
    sparks: Sparks,
) -> Line:
    current, before = like[key], like["previous"]
    figure = Figure(
        metric,
        label,
        value="" if current is None else form.value(current),
        exact="" if current is None else form.exact(current),
        why=why if current is None else "",
        change=_difference(current, before, form),
        why_no_change="" if current is None else _why_no_past(before),
        spark=sparks.of(metric),
    )
    return Line(
        figure,
        before="" if before is None else SAID[metric](before),
        whole="" if whole["previous"] is None else SAID[metric](whole["previous"]),
        whole_change=_difference(whole[key], whole["previous"], form),
    )


def _difference(current: float | None, before: float | None, form: Form) -> Change | None:
    """The API has only the percentage of FLUX and dollars; the page says both."""
    if current is None or before is None:
        return None
    difference = round(current - before, 8)
    return change(difference, form.change, round(difference * 100 / before, 2) if before else None)


def _why_no_past(before: float | None) -> str:
    return "No earlier data: the ledger does not reach back that far." if before is None else ""


def _usd(whole: Mapping[str, Any], like: Mapping[str, Any], payments: int | None, why: str, sparks: Sparks) -> Line:
    """Dollars say how many payments have none. Without a price for any there is no sum, though payments are known."""
    unpriced = "None of these payments has a price yet." if payments else why
    line = _line("revenue_usd", "US dollars", "amount", USD, whole, like, unpriced, sparks)
    notes = []
    if like["usdMissing"] and like["amount"] is not None:
        notes.append(f"{formatting.whole(like['usdMissing'])} without a price")
    if like["usdMissingPrevious"]:
        notes.append(f"{formatting.whole(like['usdMissingPrevious'])} before without a price")
    return Line(line.figure, line.before, line.whole, line.whole_change, " · ".join(notes))


def _so_far(stretch: Mapping[str, str]) -> str:
    """`Mon 16 Nov – now`."""
    return f"{_day(_at(stretch['start']).date())} – now"


def _stretch(stretch: Mapping[str, str]) -> str:
    """`Mon 9 Nov – Thu 12 Nov, 14:05 UTC`; whole days without their midnight."""
    start, end = _at(stretch["start"]), _at(stretch["end"])
    if end <= start:
        return f"{_day(start.date())}, 00:00 UTC"
    if end.time() == start.time():
        return _between(start.date(), end.date() - timedelta(days=1))
    return f"{_between(start.date(), end.date())}, {end:%H:%M} UTC"


def _days(period: Mapping[str, str]) -> str:
    return _between(date.fromisoformat(period["start"]), date.fromisoformat(period["end"]))


def _between(first: date, last: date) -> str:
    return _day(first) if first == last else f"{_day(first)} – {_day(last)}"


def _day(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else _at(text)
