"""Format figures for page, mail and commands."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any

from fluxtracker import formatting
from fluxtracker.formatting import ARROWS
from fluxtracker.money import Number
from reports.calendar import Named
from reports.figures import Figure, Group, Unit
from reports.kpi_report import HOW, Report

UNKNOWN = "n/a"
TITLES = {
    Group.MONEY: "Money",
    Group.CUSTOMERS: "Customers",
    Group.VOLUME: "Volume",
    Group.NETWORK: "Network",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A figure in a table. `note`, `note_before`: numbers of the reasons for missing values."""

    figure: Figure
    value: str
    before: str
    change: str
    coverage: str
    note: int | None
    note_before: int | None


@dataclass(frozen=True, slots=True)
class Table:
    """A group's figures, and each reason once."""

    key: str
    title: str
    rows: list[Row]
    reasons: list[str]


def tables(report: Report) -> list[Table]:
    """Return the groups in order."""
    return [_table(group, list(figures)) for group, figures in groupby(report.figures, key=attrgetter("group"))]


def _table(group: Group, figures: list[Figure]) -> Table:
    every = (reason for figure in figures for reason in (figure.reason, figure.previous_reason) if reason)
    reasons = list(dict.fromkeys(every))
    numbers = {reason: number for number, reason in enumerate(reasons, 1)}
    rows = [
        Row(
            figure, shown(figure.value, figure.unit), shown(figure.previous, figure.unit), change(figure),
            coverage(figure), numbers.get(figure.reason), numbers.get(figure.previous_reason),
        )
        for figure in figures
    ]  # fmt: skip
    return Table(group, TITLES[group], rows, reasons)


def shown(value: Number | None, unit: Unit) -> str:
    """Return a value with its unit."""
    if value is None:
        return UNKNOWN
    match unit:
        case Unit.FLUX:
            return f"{formatting.coins(value)} FLUX"
        case Unit.USD:
            return formatting.dollars(value)
        case Unit.PRICE | Unit.USD_A_MONTH:
            return formatting.price(Decimal(str(value)))
        case Unit.PERCENT:
            return formatting.percent(value, 2)
        case Unit.GB:
            return formatting.size(value)
        case Unit.COUNT | Unit.CORES | Unit.MONTHS:
            return formatting.count(round(value, 1))
        case Unit.INDEX:
            return formatting.coins(value)


def change(figure: Figure) -> str:
    """Return the change with its arrow, in percent or, for percentages, points; empty if unknown."""
    if figure.trend is None:
        return ""
    if figure.trend == "neutral":
        return "= 0"
    if figure.change is None:  # from 0
        return f"{ARROWS[figure.trend]} {formatting.plus(shown(figure.difference, figure.unit))}"
    if figure.unit == Unit.PERCENT:
        return f"{ARROWS[figure.trend]} {formatting.plus(formatting.coins(figure.change))} pp"
    return f"{ARROWS[figure.trend]} {formatting.plus(formatting.percent(figure.change, 2))}"


def coverage(figure: Figure) -> str:
    """Return the coverage if incomplete."""
    return "" if figure.coverage is None or figure.coverage >= 100 else formatting.percent(figure.coverage)


def days(period: Named) -> str:
    """Return the first and the last day."""
    first, last = formatting.day(period.first_day), formatting.day(period.last_day)
    return first if first == last else f"{first} to {last}"


def headline(report: Report) -> str:
    """Return the report in one sentence: fees and their change."""
    fees = next(figure for figure in report.figures if figure.key == "fees_flux")
    words = f"{report.current.title}: fees {shown(fees.value, fees.unit)}"
    return f"{words} ({change(fees)})" if change(fees) else words


SHORT = ("fees_usd", "accrued_flux", "mrr_usd", "new_apps", "lost_apps", "node_total", "total_apps")


def summary(report: Report) -> str:
    """Return the report in a few lines, for a chat."""
    figures = {figure.key: figure for figure in report.figures}
    chosen = [figures[key] for key in SHORT if key in figures and figures[key].value is not None]
    lines = [f"{figure.label}: {shown(figure.value, figure.unit)} {change(figure)}".rstrip() for figure in chosen]
    return "\n".join([f"Flux report, {headline(report)}", *lines])


def context_of(report: Report) -> dict[str, Any]:
    """Return the template context of page and mail."""
    return {
        "report": report,
        "tables": tables(report),
        "days": days(report.current),
        "days_before": days(report.previous),
        "how": HOW,
    }


def plain(report: Report) -> str:
    """Return the report as text."""
    lines = [
        f"Flux network, {report.current.title} ({days(report.current)})",
        f"against {report.previous.title} ({days(report.previous)})",
        HOW,
    ]
    for table in tables(report):
        lines += ["", table.title.upper(), *(line for row in table.rows for line in _lines(row))]
    return "\n".join(lines)


def _lines(row: Row) -> list[str]:
    covered = f"coverage {row.coverage}" if row.coverage else ""
    line = f"{row.figure.label}: " + ", ".join(filter(None, [row.value, f"before {row.before}", row.change, covered]))
    return [line, *(f"  {note}" for note in row.figure.notes)]
