"""Show the revenue of the selected period: one line, two comparison chips, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from dashboard.panels import periods
from dashboard.panels.periods import Chosen
from dashboard.panels.tile_figures import COUNT, FLUX, USD, Change, Figure, Form, Sparks, change
from fluxtracker import formatting, money
from fluxtracker.periods import Period
from fluxtracker.timestamps import parse_instant
from revenue import period_totals
from revenue.models import DailyTotal, LedgerState
from revenue.period_totals import Part

KINDS = (("flux", "FLUX", FLUX), ("usd", "USD", USD), ("payments", "Payments", COUNT))
METRICS = {"flux": "revenue_flux", "usd": "revenue_usd", "payments": "payments"}

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Revenue of a period. None: not known."""

    flux: float | None = None
    usd: float | None = None
    payments: int | None = None
    unpriced: int = 0

    @classmethod
    def of(cls, part: Part) -> Amounts:
        sums = part.sums
        flux = None if sums.revenue_sat is None else money.flux(sums.revenue_sat)
        return cls(flux, money.usd(sums.usd_micro), sums.payments, sums.usd_missing)

    def words(self) -> str:
        """Return `250.00 FLUX, $18.60, 1 payment`, as far as known."""
        values = ((getattr(self, key), form) for key, _, form in KINDS)
        return ", ".join(with_unit(value, form) for value, form in values if value is not None)


@dataclass(frozen=True, slots=True)
class Base:
    """Period to compare with, and its time. `complete`: all its payments are in the ledger."""

    label: str
    range: str
    first: date
    amounts: Amounts
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Earned:
    """The period compared with `like`, the same time before it, and if ongoing with the `whole` previous one."""

    chosen: Chosen
    amounts: Amounts
    like: Base
    whole: Base | None
    as_of: datetime | None
    stale: bool
    began: date | None
    """First day of the ledger."""
    complete: bool = True

    @property
    def like_known(self) -> bool:
        return self.began is not None and self.like.first >= self.began

    @property
    def why_not_compared(self) -> str:
        """Return why there is no percentage, empty if there can be one."""
        if self.began is None:
            return "No comparison: no payment is known yet." if self.as_of else "No sync has completed yet."
        if not self.like_known:
            return f"No comparison: the ledger starts on {formatting.day(self.began)}."
        return "" if self.like.amounts.flux is not None else f"Not known {self.like.label}."


def load(chosen: Chosen, answer: Answer) -> Earned:
    """Return the period's revenue. `answer`: the revenue of the precomputed comparison. At most five queries."""
    began = DailyTotal.objects.first_day()
    if chosen.is_past:
        return _over(chosen, began)
    if chosen.choice.rolling:
        return _rolling(chosen, began)
    return _going_on(chosen, answer, began) if chosen.is_calendar else _until_now(chosen, began)


def _over(chosen: Chosen, began: date | None) -> Earned:
    comparison, ledger = period_totals.of_period(chosen.period, chosen.now), LedgerState.known()
    previous = comparison.previous
    like = Base(
        chosen.before,
        periods.stretch(previous.period, chosen.now),
        previous.period.first_day,
        Amounts.of(previous),
        previous.complete,
    )
    is_known = began is not None and chosen.period.last_day >= began
    amounts = Amounts.of(comparison.current) if is_known else Amounts()
    return Earned(chosen, amounts, like, None, ledger.read_until, False, began, comparison.current.complete)


def _rolling(chosen: Chosen, began: date | None) -> Earned:
    result, ledger, period = (
        period_totals.rolling(chosen.period, chosen.now),
        LedgerState.known(),
        chosen.period.previous(),
    )
    amounts, before = (Amounts.of(result.current), Amounts.of(result.previous)) if result else (Amounts(), Amounts())
    like = Base(chosen.last, periods.stretch(period, chosen.now), period.first_day, before)
    return Earned(chosen, amounts, like, None, ledger.read_until, ledger.is_stale(chosen.now), began)


def _until_now(chosen: Chosen, began: date | None) -> Earned:
    """Return the revenue of an ongoing range."""
    comparison, before, ledger = period_totals.until_now(chosen.period, chosen.now)
    like = comparison.previous.period
    return Earned(
        chosen,
        Amounts.of(comparison.current),
        Base(
            f"{chosen.last}, by now",
            _reach(like, comparison.whole_days, chosen.now),
            like.first_day,
            Amounts.of(comparison.previous),
        ),
        Base(
            f"all of {chosen.last}",
            periods.stretch(before.period, chosen.now),
            like.first_day,
            Amounts.of(before),
            before.complete,
        ),
        ledger.read_until,
        ledger.is_stale(chosen.now),
        began,
    )


def _reach(period: Period, whole_days: bool, now: datetime) -> str:
    reach = periods.stretch(period, now)
    return f"{reach} (whole days: payments of that day are stored as totals only)" if whole_days else reach


def _going_on(chosen: Chosen, answer: Answer, began: date | None) -> Earned:
    to_date, now, last = answer["toDate"], chosen.now, chosen.last
    usd = to_date["usd"]
    now_amounts = Amounts(to_date["flux"]["amount"], usd["amount"], to_date["payments"]["count"], usd["usdMissing"])
    whole = Amounts(answer["flux"]["previous"], answer["usd"]["previous"], answer["payments"]["previous"])
    cut = Amounts(
        to_date["flux"]["previous"], usd["previous"], to_date["payments"]["previous"], usd["usdMissingPrevious"]
    )
    start, end = (datetime.fromisoformat(to_date["previous"][key]) for key in ("start", "end"))
    days = [date.fromisoformat(answer["previous"][key]) for key in ("start", "end")]
    reach = _reach(Period(start, end), to_date["wholeDays"], now)
    return Earned(
        chosen,
        now_amounts,
        Base(f"{last} by now", reach, days[0], cut),
        Base(f"all of {last}", periods.between(days[0], days[1], now), days[0], whole, answer["previous"]["complete"]),
        parse_instant(answer["asOf"]),
        answer["stale"],
        began,
    )


def context(earned: Earned, sparks: Sparks) -> dict[str, Any]:
    """Return the template context."""
    chosen = earned.chosen
    return {
        "this": chosen.this,
        "chosen": chosen,
        "back": chosen.step_back if earned.began and chosen.period.start.date() > earned.began else "",
        "figures": {key: _figure(earned, key, label, form, sparks) for key, label, form in KINDS},
        "chips": list(_chips(earned)),
        "pace": _pace(earned),
        "ranges": list(_ranges(earned)),
        "notes": list(_notes(earned)),
        "as_of": earned.as_of,
        "late": _late(earned),
    }


def title(earned: Earned) -> str:
    """Return the page title: `▲ +8.0 % · 31,204.55 FLUX this week`."""
    flux = earned.amounts.flux
    if flux is None:
        return "Revenue not known yet"
    moved = _change(earned, "flux", FLUX)
    lead = f"{moved.arrow} {moved.share} · " if moved and moved.share else ""
    return f"{lead}{FLUX.value(flux)} FLUX {earned.chosen.this}"


def _figure(earned: Earned, key: str, label: str, form: Form, sparks: Sparks) -> Figure:
    value, moved = getattr(earned.amounts, key), _change(earned, key, form)
    return Figure.of(
        METRICS[key],
        label,
        value,
        form,
        why=_why_unknown(earned, key),
        change=moved,
        why_no_change=earned.why_not_compared,
        spark=sparks.of(METRICS[key]),
    )


def _why_unknown(earned: Earned, key: str) -> str:
    if earned.as_of is None:
        return "No sync has completed yet."
    if key == "usd" and earned.amounts.payments:
        return "None of these payments has a price yet."
    if earned.chosen.is_past:
        return f"Payments are known since {formatting.day(earned.began)}." if earned.began else "No payments yet."
    if earned.chosen.choice.rolling:
        return "Payments of these days are stored as daily totals only."
    return f"Not read yet: the last complete sync was on {formatting.moment(earned.as_of)}."


def _change(earned: Earned, key: str, form: Form) -> Change | None:
    """Return the change from the same time before, absolute and in percent, None if not fully known."""
    current, before = getattr(earned.amounts, key), getattr(earned.like.amounts, key)
    if current is None or before is None or not earned.like_known:
        return None
    difference = round(current - before, 8)
    return change(difference, form.change, round(difference * 100 / before, 2) if before else None)


def _chips(earned: Earned) -> Iterator[dict[str, str]]:
    """Yield the comparison chips: the arrow is for sighted readers, `spoken` for screen readers."""
    moved, like = _change(earned, "flux", FLUX), earned.like
    if earned.amounts.flux is None:
        return
    if moved is None or not earned.like.complete:
        yield {"words": earned.why_not_compared or f"{like.label.capitalize()} is not complete yet", "trend": "unknown"}
    elif moved.trend == "neutral":
        yield {"words": f"same as {like.label}", "trend": "neutral", "arrow": moved.arrow}
    else:
        spoken, before = {"up": "up", "down": "down"}[moved.trend], like.amounts.flux or 0
        size = _size(abs(earned.amounts.flux - before) * 100 / before) if before else moved.words + " FLUX"
        yield {"words": f"{size} vs {like.label}", "trend": moved.trend, "arrow": moved.arrow, "spoken": spoken}
    yield from _share(earned)


def _size(share: float) -> str:
    """Return a percentage, without showing a small one as zero."""
    return "< 0.01 %" if share < 0.005 else formatting.percent(share, 1 if share >= 0.1 else 2)


def _share(earned: Earned) -> Iterator[dict[str, str]]:
    whole, last = earned.whole, earned.chosen.last
    if whole is None or not earned.like_known or earned.amounts.flux is None:
        return
    if not whole.complete:
        yield {"words": f"{last} is not complete yet", "trend": "unknown"}
    elif whole.amounts.flux:
        yield {"words": f"{formatting.percent(earned.amounts.flux * 100 / whole.amounts.flux)} of all {last}"}


def _pace(earned: Earned) -> dict[str, str] | None:
    """Return the bar: its length is the whole previous period, or this one if larger."""
    if earned.whole is None or not earned.whole.complete or not earned.like_known:
        return None
    now, like, whole = (amounts.flux for amounts in (earned.amounts, earned.like.amounts, earned.whole.amounts))
    if now is None or like is None or not whole:
        return None
    length = max(now, whole)
    places = {"now": now, "like": like, "whole": whole}
    return {key: f"{value * 100 / length:.2f}" for key, value in places.items()}


def _ranges(earned: Earned) -> Iterator[tuple[str, str]]:
    """Yield the compared ranges with their revenue."""
    chosen, period = earned.chosen, earned.chosen.period
    if chosen.is_past or chosen.choice.rolling:
        yield chosen.this, periods.stretch(period, chosen.now)
    else:
        yield (
            chosen.this if not chosen.is_calendar else f"{chosen.this} so far",
            f"{periods.day_words(period.first_day, chosen.now)} – now",
        )
    for base in filter(None, (earned.like, earned.whole)):
        words = base.amounts.words() if earned.like_known else ""
        lacks = "" if base.complete else ", not complete yet"
        yield base.label, f"{base.range}: {words or 'not known'}{lacks}"


def _notes(earned: Earned) -> Iterator[str]:
    if earned.amounts.unpriced and earned.amounts.payments is not None:
        yield f"{formatting.whole(earned.amounts.unpriced)} without a price"
    if earned.like.amounts.unpriced and earned.like_known:
        yield f"{formatting.whole(earned.like.amounts.unpriced)} before without a price"
    if earned.began and earned.chosen.period.first_day < earned.began <= earned.chosen.period.last_day:
        yield f"known since {formatting.day(earned.began)}"
    if not earned.complete and earned.amounts.flux is not None:
        yield "not complete yet"


def _late(earned: Earned) -> str:
    if not earned.stale or earned.as_of is None:
        return ""
    return f"No sync has completed since {formatting.moment(earned.as_of)}: newer payments are missing."


def with_unit(value: float, form: Form) -> str:
    if form is COUNT:
        return formatting.plural(int(value), "payment")
    return f"{form.value(value)} FLUX" if form is FLUX else form.value(value)
