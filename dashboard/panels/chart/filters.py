"""Read the view of the chart from an address. A wrong value falls back, with a message beside its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal
from urllib.parse import urlencode

from django.http import QueryDict
from rest_framework.exceptions import ErrorDetail

from fluxtracker import formatting
from fluxtracker.periods import Bucket
from snapshots.series import choices as series_choices
from snapshots.series import selectors
from snapshots.series.choices import Choice, Kind
from snapshots.series.selectors import MOST_DAYS, MOST_METRICS, SeriesRequest
from snapshots.series.views import ALL, DEFAULT_DAYS, EARLIEST, ViewQuery

KEYS = ("metrics", "days", "start", "end", "bucket", "previous", "cumulative", "rows")
TYPED = ("add",)  # what a form asks for: part of the answer's `metrics`, so that no link repeats it
PLACE = "#panel-chart"
DEFAULT = "revenue_flux"
BACKWARDS = "The first day lies after the last."
NO_RANGE = "A range needs a first day such as 2026-01-31, and may have a last one."
CLOSE = 3  # metrics that are offered when a word fits several

Days = int | Literal["all"]


@dataclass(frozen=True, slots=True)
class View:
    """`days` is None where the address names both ends. `said`: what is wrong, by field."""

    choices: tuple[Choice, ...]
    days: Days | None
    first: date
    last: date
    bucket: Bucket = Bucket.DAY
    previous: bool = False
    cumulative: bool = False
    every_row: bool = False
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> SeriesRequest:
        return SeriesRequest(self.choices, self.first, self.last, self.bucket, self.previous, self.cumulative)

    @property
    def has_sums(self) -> bool:
        return any(choice.kind == Kind.SUM for choice in self.choices)

    def keys(self) -> dict[str, str]:
        """Return the address's keys of this view; what is by default is left out."""
        metrics = ",".join(choice.key for choice in self.choices)
        ends = {"start": self.first.isoformat(), "end": self.last.isoformat()}
        found = {
            "metrics": "" if metrics == DEFAULT else metrics,
            **(ends if self.days is None else {"days": "" if self.days == DEFAULT_DAYS else str(self.days)}),
            "bucket": "" if self.bucket == Bucket.DAY else self.bucket.value,
            "previous": "1" if self.previous else "",
            "cumulative": "1" if self.cumulative else "",
            "rows": ALL if self.every_row else "",
        }
        return {key: value for key, value in found.items() if value}

    def exactly(self) -> dict[str, str]:
        """Return the keys that mean the same days tomorrow, for links, files and the API."""
        metrics = ",".join(choice.key for choice in self.choices)
        keys = replace(self, days=None, every_row=False).keys()
        return {"metrics": metrics} | keys

    def with_choices(self, found: Sequence[Choice]) -> View:
        return replace(self, choices=tuple(found), every_row=False)

    def with_days(self, days: Days) -> View:
        return replace(self, days=days, every_row=False)


def address(query: QueryDict, view: View) -> str:
    """Return the page with this view and everything else that the visitor chose."""
    others = [(key, str(value)) for key, value in query.items() if key not in (*KEYS, *TYPED)]
    return f"?{encoded([*others, *view.keys().items()])}{PLACE}"


def encoded(keys: Sequence[tuple[str, str]]) -> str:
    return urlencode(keys, safe=",:/")


def parse(query: QueryDict, listed: Sequence[Choice], today: date) -> View:
    """At most four queries."""
    said: dict[str, str] = {}
    found = _metrics(query, listed, said)
    given = {key: query[key] for key in KEYS if query.get(key)}
    if given.keys() & {"start", "end"}:
        given.pop("days", None)
    values, wrong = ViewQuery.read_valid(given)
    days, first, last = _range(values, wrong, today, said)
    return View(
        choices=tuple(found),
        days=days,
        first=first,
        last=last,
        bucket=Bucket(values["bucket"]),
        previous=values["previous"] == "1" and days != ALL,  # there is nothing before all days
        cumulative=values["cumulative"] == "1",
        every_row=query.get("rows") == ALL,
        said=said,
    )


def _metrics(query: QueryDict, listed: Sequence[Choice], said: dict[str, str]) -> list[Choice]:
    keys = list(dict.fromkeys(filter(None, (key.strip() for key in query.get("metrics", "").split(",")))))
    found, unknown = series_choices.resolve(keys[: 2 * MOST_METRICS], listed)
    if unknown:
        said["add"] = f"Nothing is called {', '.join(map(_quoted, unknown))}."
    added = query.get("add", "").strip()
    if added:
        found = _with_added(found, added, listed, said)
    if len(found) > MOST_METRICS:
        said["add"] = f"At most {MOST_METRICS} metrics are drawn together; take one out first."
    return found[:MOST_METRICS] or [choice for choice in listed if choice.key == DEFAULT]


def _with_added(found: list[Choice], text: str, listed: Sequence[Choice], said: dict[str, str]) -> list[Choice]:
    matches = _named(text, listed)
    if len(matches) == 1:
        return found if matches[0] in found else [*found, matches[0]]
    if matches:
        names = ", ".join(choice.label for choice in matches[:CLOSE])
        said["add"] = f"{_quoted(text)} fits {formatting.plural(len(matches), 'metric')}: {names}{_more(matches)}."
    else:
        said["add"] = f"Nothing is called {_quoted(text)}."
    return found


def _named(text: str, listed: Sequence[Choice]) -> list[Choice]:
    """Return the metric of that key, name or image; else all whose words fit."""
    exact = [choice for choice in listed if text.casefold() in (choice.key, choice.label.casefold())]
    if exact:
        return exact[:1]
    key = text if text.startswith(series_choices.IMAGE) else series_choices.IMAGE + text
    images, _ = series_choices.resolve([key], listed)
    return images or series_choices.matching([*listed, *map(series_choices.of_image, series_choices.images())], text)


def _more(matches: Sequence[Choice]) -> str:
    return " and more" if len(matches) > CLOSE else ""


def _range(
    values: Mapping[str, Any], wrong: Mapping[str, ErrorDetail], today: date, said: dict[str, str]
) -> tuple[Days | None, date, date]:
    """Return the days as the address has them, and the first and last one. Put what is wrong into `said`."""
    first, last = values.get("start"), values.get("end", today)
    why = ""
    if wrong.keys() & {"start", "end"}:
        why = BACKWARDS if "start" in wrong and wrong["start"].code == "order" else NO_RANGE
    elif first and first > last:
        why = BACKWARDS
    elif first and (first < EARLIEST or (last - first).days >= MOST_DAYS):
        why = f"At most {formatting.whole(MOST_DAYS)} days are drawn, from {EARLIEST.year} on."
    elif first:
        if last > today:
            said["range"] = "Days to come are not known; what is shown ends today."
        return None, min(first, today), min(last, today)
    if why:
        said["range"] = f"{why} The last {formatting.plural(DEFAULT_DAYS, 'day')} are shown."
    days = values.get("days", DEFAULT_DAYS)
    return (days, *(selectors.all_days(today) if days == ALL else selectors.last_days(days, today)))


def _quoted(text: str) -> str:
    return f"“{formatting.short(text, 40, 10)}”"
