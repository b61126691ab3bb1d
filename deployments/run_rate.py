"""Select payments, earnings and balances, by day and by the end of apps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction

from django.db.models import BigIntegerField, F, Q, Sum
from django.db.models.functions import Coalesce

from deployments.accrual import WITHOUT_MONEY, Balance
from deployments.models import AppEvent, AppLife, DailyAccrual, MessagesState
from deployments.price_and_volume import MONTH_S, Missing, Parts, Sold, split_change
from fluxtracker.periods import DAY, Bucket, Span, split
from revenue.models import ChangedDay, DailyTotal, LedgerState
from revenue.period_totals import Totals

MONTHS_A_YEAR = 12
DAYS_IN_4_YEARS = 1_461  # 365.25 days per year
MOST_DAYS = 3_660  # days of a forecast
ASSIGNED = Q(end_at__isnull=False) & ~Q(kind__in=WITHOUT_MONEY)
SUMS = tuple(field.name for field in DailyAccrual._meta.concrete_fields if not field.primary_key)

NOT_READ = "App messages have not been read completely yet."
NO_DAY = "No day is complete yet."
UNPRICED = "No payment behind it has a price yet."
NOT_WHOLE = "Not all days of these rows are complete yet."
NOT_SYNCED = "No sync has read this period."
WAITING = "Payments of changed days count as unassigned until the next update."


@dataclass(frozen=True, slots=True)
class Amount:
    """Satoshi and micro-dollars. None: not known."""

    sat: int | None = None
    usd_micro: int | None = None

    @classmethod
    def of(cls, sat: int, usd_micro: int) -> Amount:
        """Return the amount, without dollars if no payment behind it has a price."""
        return cls(sat, None if sat and not usd_micro else usd_micro)


UNKNOWN = Amount()


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of the accrual: flows of its days, and the balance not yet earned at the end of the last one."""

    date: date
    cash: Amount
    accrued: Amount
    breakage: Amount
    unassigned: Amount
    deferred: Amount
    mrr: Amount
    """At the mean of the days; unknown until all of them are complete."""
    usd_missing: int


@dataclass(frozen=True, slots=True)
class Check:
    """The whole ledger, in satoshi: cash = accrued + breakage + deferred + unassigned."""

    cash_sat: int
    accrued_sat: int
    breakage_sat: int
    deferred_sat: int
    unassigned_sat: int


@dataclass(frozen=True, slots=True)
class AccrualReport:
    data: Sequence[Flow]
    mrr: Amount
    check: Check
    coverage: Mapping[str, float | int | None]
    as_of: datetime | None
    notes: Mapping[str, str]


Row = Mapping[str, int]
NOTHING: Row = dict.fromkeys(SUMS, 0)


def accrual(first: date, last: date, by: Bucket, now: datetime) -> AccrualReport:
    """Return payments and earnings by bucket, the run-rate, and the check of the sums."""
    ledger = LedgerState.known()
    totals = Totals({row["day"]: row for row in DailyTotal.objects.between(first, last).by_day()}, ledger)
    is_read = MessagesState.known().complete_at is not None
    data, notes = flow_rows(split(first, last, by), totals, is_read, now), dict[str, str]()
    mrr = run_rate_now(ledger, now) if is_read else UNKNOWN
    if not is_read:
        notes |= dict.fromkeys(("accrued", "breakage", "deferred", "unassigned", "mrr"), NOT_READ)
    elif mrr.sat is None:
        notes["mrr"] = NO_DAY
    if is_read and any(row.mrr.sat is None for row in data):
        notes["data.mrr"] = NOT_WHOLE
    if any(row.cash.sat is None for row in data):
        notes["cash"] = NOT_SYNCED
    if any(row.cash.usd_micro is None and row.cash.sat for row in data) or (mrr.sat and mrr.usd_micro is None):
        notes["usd"] = UNPRICED
    check, coverage = _check(now.date()), _coverage()
    if coverage["waitingDays"]:
        notes["unassigned"] = WAITING
    assigned = _percent(check.cash_sat - check.unassigned_sat, check.cash_sat)
    return AccrualReport(data, mrr, check, {"assigned_percent": assigned, **coverage}, ledger.read_until, notes)


def flow_rows(spans: Sequence[Span], totals: Totals, is_read: bool, now: datetime) -> list[Flow]:
    """Return payments and earnings of these days, one row per span. Two queries."""
    first, last = spans[0].first, spans[-1].last
    rows = flows(Span(first, last))
    before: Row = DailyAccrual.objects.filter(day__lt=first).aggregate(
        **{name: Coalesce(Sum(name), 0) for name in SUMS}
    )
    left, left_usd = _left(before, "_sat"), _left(before, "_usd_micro")
    found_flows = []
    for span in spans:
        known = [rows[day] for day in span.days() if day in rows]
        row: Row = known[0] if len(known) == 1 else {name: sum(one[name] for one in known) for name in SUMS}
        left, left_usd = left + _left(row, "_sat"), left_usd + _left(row, "_usd_micro")
        days = span.days()
        cash, is_whole = totals.of(days), is_read and all(totals.ledger.has_all_of(day, now) for day in days)
        found_flows.append(
            Flow(
                span.first,
                Amount(cash.revenue_sat, cash.usd_micro),
                _amount(row, "accrued") if is_read else UNKNOWN,
                _amount(row, "breakage") if is_read else UNKNOWN,
                _amount(row, "unassigned") if is_read else UNKNOWN,
                Amount.of(left, left_usd) if is_read else UNKNOWN,
                run_rate(row, len(days)) if is_whole else UNKNOWN,
                cash.usd_missing,
            )
        )
    return found_flows


def flows(span: Span) -> dict[date, Row]:
    """Return the flows of a range, without days that have none. One query."""
    there = DailyAccrual.objects.filter(day__range=(span.first, span.last)).values_list("day", *SUMS)
    return {day: dict(zip(SUMS, values, strict=True)) for day, *values in there}


def left_before(day: date) -> int:
    """Return satoshi not yet earned at the start of the day. One query."""
    before: Row = DailyAccrual.objects.filter(day__lt=day).aggregate(**{name: Coalesce(Sum(name), 0) for name in SUMS})
    return left_of(before)


def left_of(row: Row) -> int:
    """Return satoshi that the days add to the balance not yet earned."""
    return _left(row, "_sat")


def _amount(row: Row, name: str) -> Amount:
    return Amount.of(row[f"{name}_sat"], row[f"{name}_usd_micro"])


def _left(row: Row, unit: str) -> int:
    """Return the amount that the days add to the balance not yet earned."""
    return row[f"cash{unit}"] - row[f"accrued{unit}"] - row[f"breakage{unit}"] - row[f"unassigned{unit}"]


def run_rate(row: Row, days: int) -> Amount:
    """Return the monthly earnings at the mean of these days (MRR): accrued per day x 365.25 / 12."""
    sat, usd_micro = (_a_month(row[f"accrued{unit}"], days) for unit in ("_sat", "_usd_micro"))
    return Amount.of(sat, usd_micro)


def _a_month(amount: int, days: int) -> int:
    return round(Fraction(amount * DAYS_IN_4_YEARS, 4 * MONTHS_A_YEAR * days))


def run_rate_now(ledger: LedgerState, now: datetime) -> Amount:
    """Return the run-rate of the last complete day."""
    day = _last_complete_day(ledger, now)
    return UNKNOWN if day is None else run_rate(flows(Span(day, day)).get(day, NOTHING), 1)


def _last_complete_day(ledger: LedgerState, now: datetime) -> date | None:
    """Return the last complete day, at most a month ago."""
    known = ledger.complete_until
    if known is None:
        return None
    newest = min(known, now).date()
    days = (newest - timedelta(days=back) for back in range(1, 32))
    return next((day for day in days if ledger.has_all_of(day, now)), None)


def _check(today: date) -> Check:
    """Add up all days. Later changes of the ledger belong to no life yet."""
    past, later = Q(day__lte=today), Q(day__gt=today)
    rows = DailyAccrual.objects.aggregate(
        accrued=Coalesce(Sum("accrued_sat", filter=past), 0),
        deferred=Coalesce(Sum("accrued_sat", filter=later), 0),
        breakage=Coalesce(Sum("breakage_sat"), 0),
        unassigned=Coalesce(Sum("unassigned_sat"), 0),
    )
    waiting = ChangedDay.objects.values("day")
    cash = DailyTotal.objects.filter(day__in=waiting).sum_of("revenue_sat")
    known = DailyAccrual.objects.filter(day__in=waiting).aggregate(sum=Coalesce(Sum("cash_sat"), 0))["sum"]
    return Check(
        DailyTotal.objects.sum_of("revenue_sat"),
        rows["accrued"],
        rows["breakage"],
        rows["deferred"],
        rows["unassigned"] + cash - known,
    )


def _coverage() -> dict[str, int]:
    endless = AppEvent.objects.filter(end_at=None).exclude(kind__in=WITHOUT_MONEY)
    return {
        "unknownTerm_sat": endless.aggregate(sum=Coalesce(Sum("revenue_sat"), 0))["sum"],
        "endsUnknown": AppLife.objects.filter(end_at=None, registered_at__isnull=False).count(),
        "waitingDays": ChangedDay.objects.count(),
    }


def _percent(part: int, whole: int) -> float | None:
    return round(part * 100 / whole, 2) if whole else None


@dataclass(slots=True)
class Ending:
    """Apps that end on one day, and their balance not yet earned."""

    apps: int = 0
    sat: int = 0
    usd_micro: int = 0

    def add(self, sat: int, usd_micro: int) -> None:
        self.apps, self.sat, self.usd_micro = self.apps + 1, self.sat + sat, self.usd_micro + usd_micro

    @property
    def amount(self) -> Amount:
        return Amount.of(self.sat, self.usd_micro)


@dataclass(frozen=True, slots=True)
class ForecastDay:
    date: date
    accrued: Amount
    ending: Ending


@dataclass(frozen=True, slots=True)
class Forecast:
    """Earnings from tomorrow on without any renewal, and ends of apps."""

    data: Sequence[ForecastDay]
    ending_today: Ending
    deferred: Amount
    coverage: Mapping[str, int]
    as_of: datetime | None
    notes: Mapping[str, str] = field(default_factory=dict)


def forecast(now: datetime) -> Forecast:
    """Return the days from tomorrow to the last with earnings or ends, at most MOST_DAYS."""
    today, ledger = now.date(), LedgerState.known()
    is_read = MessagesState.known().complete_at is not None
    later = DailyAccrual.objects.filter(day__gt=today) if is_read else DailyAccrual.objects.none()
    rows = {day: (sat, usd) for day, sat, usd in later.values_list("day", "accrued_sat", "accrued_usd_micro")}
    ending = _endings(now) if is_read else {}
    last = min(max([today, *rows, *ending]), today + timedelta(days=MOST_DAYS))
    days = Span(today + DAY, last).days()
    sums = [sum(values) for values in zip(*rows.values(), strict=True)] or [0, 0]
    return Forecast(
        [ForecastDay(day, Amount.of(*rows.get(day, (0, 0))), ending.get(day, Ending())) for day in days],
        ending.get(today, Ending()),
        Amount.of(*sums) if is_read else UNKNOWN,
        {
            **_coverage(),
            "later_sat": sum(sat for day, (sat, _) in rows.items() if day > last),
            "laterApps": sum(one.apps for day, one in ending.items() if day > last),
        },
        ledger.read_until,
        {} if is_read else dict.fromkeys(("data", "deferred", "endingToday"), NOT_READ),
    )


def _endings(now: datetime) -> dict[date, Ending]:
    """Return the apps in force by the day they end."""
    endings: dict[date, Ending] = {}
    columns = ("end_at", "balance_at", "balance_sat", "balance_usd_micro")
    for end, at, sat, usd_micro in AppLife.objects.filter(end_at__gt=now).values_list(*columns):
        left = Balance(at, end, sat, usd_micro).left(now) if at else (0, 0)
        endings.setdefault(end.date(), Ending()).add(*left)
    return endings


@dataclass(frozen=True, slots=True)
class PriceVolume:
    """Causes of a change in revenue between periods. The parts and `uncovered_sat` add up to the change."""

    change_sat: int | None
    parts: Parts | None
    missing: Missing | None
    uncovered_sat: int | None
    """Change in payments without a known term, number of instances or price."""
    instance_months: float
    instance_months_before: float
    usd_per_instance_month: float | None
    usd_per_instance_month_before: float | None
    covered_percent: float | None
    """Share of both periods' revenue that the parts rest on."""


def price_volume(current: Span, previous: Span) -> PriceVolume:
    """Return the change of revenue between two ranges of days, split into its causes."""
    revenue = [_revenue(span) for span in (current, previous)]
    now, before = sold(current), sold(previous)
    result = split_change(now, before)
    change, all_of_it = (None, None) if None in revenue else (revenue[0] - revenue[1], sum(revenue))  # type: ignore[operator, arg-type]
    covered = now.revenue_sat - before.revenue_sat
    return PriceVolume(
        change,
        result if isinstance(result, Parts) else None,
        result if isinstance(result, Missing) else None,
        None if change is None else change - covered,
        now.instance_s / MONTH_S,
        before.instance_s / MONTH_S,
        _unit_price(now),
        _unit_price(before),
        None if all_of_it is None else _percent(now.revenue_sat + before.revenue_sat, all_of_it),
    )


def _revenue(span: Span) -> int | None:
    return Totals.load(span.first, span.last).of(span.days()).revenue_sat


def _unit_price(one: Sold) -> float | None:
    return one.usd_micro * MONTH_S / one.instance_s / 1_000_000 if one.instance_s else None


def sold(span: Span) -> Sold:
    """Return the sales of these days: instances times the time that each message added to its app's life.

    Covers messages that count, have a known number of instances, and have only priced payments.
    """
    paid = AppEvent.objects.filter(ASSIGNED, day__range=(span.first, span.last), payments__gt=0)
    covered = paid.filter(instances__isnull=False, priced=F("payments"))
    seconds = Sum(F("instances") * F("added_s"), output_field=BigIntegerField())
    sums = covered.aggregate(sat=Sum("revenue_sat"), micro=Sum("usd_micro"), seconds=seconds)
    return Sold(*(int(value or 0) for value in sums.values()))
