"""Read the chart's view from a query. A wrong value falls back, with a message next to its field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal
from urllib.parse import urlencode

from django.http import QueryDict
from rest_framework.exceptions import ErrorDetail

from dashboard.panels.periods import RANGE, range_of
from fluxtracker import formatting
from fluxtracker.periods import Bucket
from fluxtracker.ranges import EARLIEST
from snapshots.series import choices as series_choices
from snapshots.series import selectors
from snapshots.series.choices import Choice
from snapshots.series.selectors import MOST_DAYS, MOST_METRICS, SeriesRequest
from snapshots.series.views import ALL, DEFAULT_DAYS, ViewQuery

KEYS = ("metrics", "days", "start", "end", "bucket", "previous", "cumulative", "mean", "rows")
TYPED = ("add",)  # submitted by a form; part of the answer's `metrics`, so that no link repeats it
PLACE = "#panel-chart"
DEFAULT = "revenue_flux"
BACKWARDS = "The first day is after the last."
NO_RANGE = "A range needs a first day such as 2026-01-31, and may have a last one."
CLOSE = 3  # metrics offered when a word matches several

Days = int | Literal["all"]


@dataclass(frozen=True, slots=True)
class View(SeriesRequest):
    """A series as requested by a query. `days` is None if the query has both ends."""

    days: Days | None = None
    range: str = ""
    """Range of all panels; `follows`: its days are shown, not the chart's own."""
    follows: bool = False
    mean: bool = False
    """Also the 7-day mean of daily sums."""
    every_row: bool = False
    wrong: Mapping[str, str] = field(default_factory=dict)
    """Errors by field."""

    @property
    def can_mean(self) -> bool:
        return self.has_sums and self.bucket == Bucket.DAY and not self.cumulative

    @property
    def has_sums(self) -> bool:
        return any(choice.is_sum for choice in self.choices)

    def keys(self) -> dict[str, str]:
        """Return the query keys of this view, without defaults."""
        metrics = ",".join(choice.key for choice in self.choices)
        days = "" if self.days == DEFAULT_DAYS and not self.range else str(self.days)
        values = {
            "metrics": "" if metrics == DEFAULT else metrics,
            **(self.typed or ({} if self.follows else {"days": days})),
            "bucket": "" if self.bucket == Bucket.DAY else self.bucket.value,
            "previous": "1" if self.previous else "",
            "cumulative": "1" if self.cumulative else "",
            "mean": "1" if self.mean else "",
            "rows": ALL if self.every_row else "",
        }
        return {key: value for key, value in values.items() if value}

    @property
    def typed(self) -> dict[str, str]:
        """Return the ends shown in the fields: those of the chart's own days."""
        is_own = self.days is None and not self.follows
        return {"start": self.first.isoformat(), "end": self.last.isoformat()} if is_own else {}

    def exactly(self) -> dict[str, str]:
        """Return keys that mean the same days tomorrow, for links, files and the API; a range stays unchanged."""
        metrics = ",".join(choice.key for choice in self.choices)
        keys = replace(self, days=None, every_row=False, mean=False).keys()
        return {"metrics": metrics} | keys | ({RANGE: self.range} if self.follows else {})

    def beside(self) -> dict[str, str]:
        """Return `exactly` plus the ledger's other sums, as far as they fit, so that all three are shown together."""
        keys = [choice.key for choice in self.choices]
        sums = [choice.key for choice in series_choices.SUMS if choice.key not in keys] if self.has_sums else []
        return self.exactly() | {"metrics": ",".join([*keys, *sums][:MOST_METRICS])}

    def with_choices(self, choices: Sequence[Choice]) -> View:
        return replace(self, choices=tuple(choices), every_row=False)

    def with_days(self, days: Days) -> View:
        return replace(self, days=days, follows=False, every_row=False)


def address(query: QueryDict, view: View) -> str:
    """Return the page's URL with this view and all other choices of the visitor."""
    return f"?{encoded([*others(query), *view.keys().items()])}{PLACE}"


def others(query: QueryDict) -> list[tuple[str, str]]:
    """Return the query keys of the other panels."""
    return [(key, str(value)) for key, value in query.items() if key not in (*KEYS, *TYPED)]


def encoded(keys: Sequence[tuple[str, str]]) -> str:
    return urlencode(keys, safe=",:/")


def parse(query: QueryDict, listed: Sequence[Choice], today: date) -> View:
    """Return the view of a query. At most four queries."""
    messages: dict[str, str] = {}
    choices = _metrics(query, listed, messages)
    given = {key: query[key] for key in KEYS if query.get(key) and key != "mean"}
    if given.keys() & {"start", "end"}:
        given.pop("days", None)
    selected = range_of(query, today)
    follows = selected is not None and not given.keys() & {"days", "start", "end"}
    values, wrong = ViewQuery.read_valid(given | ({RANGE: selected.text} if selected and follows else {}))
    days, first, last = _range(values, wrong, today, messages)
    return View(
        choices=tuple(choices),
        days=days,
        range=selected.text if selected else "",
        follows=follows,
        first=first,
        last=last,
        bucket=Bucket(values["bucket"]),
        previous=values["previous"] == "1" and days != ALL,  # nothing precedes all days
        cumulative=values["cumulative"] == "1",
        mean=query.get("mean") == "1",
        every_row=query.get("rows") == ALL,
        wrong=messages,
    )


def _metrics(query: QueryDict, listed: Sequence[Choice], messages: dict[str, str]) -> list[Choice]:
    keys = list(dict.fromkeys(filter(None, (key.strip() for key in query.get("metrics", "").split(",")))))
    resolved, unknown = series_choices.resolve(keys[: 2 * MOST_METRICS], listed)
    if unknown:
        messages["add"] = f"Nothing is called {', '.join(map(_quoted, unknown))}."
    added = query.get("add", "").strip()
    if added:
        resolved = _with_added(resolved, added, listed, messages)
    if len(resolved) > MOST_METRICS:
        messages["add"] = f"At most {MOST_METRICS} metrics fit in one chart; remove one first."
    return resolved[:MOST_METRICS] or [choice for choice in listed if choice.key == DEFAULT]


def _with_added(choices: list[Choice], text: str, listed: Sequence[Choice], messages: dict[str, str]) -> list[Choice]:
    matches = _named(text, listed)
    if len(matches) == 1:
        return choices if matches[0] in choices else [*choices, matches[0]]
    if matches:
        names = ", ".join(choice.label for choice in matches[:CLOSE])
        messages["add"] = f"{_quoted(text)} fits {formatting.plural(len(matches), 'metric')}: {names}{_more(matches)}."
    else:
        messages["add"] = f"Nothing is called {_quoted(text)}."
    return choices


def _named(text: str, listed: Sequence[Choice]) -> list[Choice]:
    """Return the metric with that key, name or image, else all matching ones."""
    exact = [choice for choice in listed if text.casefold() in (choice.key, choice.label.casefold())]
    if exact:
        return exact[:1]
    key = text if text.startswith(series_choices.IMAGE) else series_choices.IMAGE + text
    images, _ = series_choices.resolve([key], listed)
    return images or series_choices.matching([*listed, *map(series_choices.of_image, series_choices.images())], text)


def _more(matches: Sequence[Choice]) -> str:
    return " and more" if len(matches) > CLOSE else ""


def _range(
    values: Mapping[str, Any], wrong: Mapping[str, ErrorDetail], today: date, messages: dict[str, str]
) -> tuple[Days | None, date, date]:
    """Return the days in the query, and the first and last one. Add errors to `messages`."""
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
            messages["range"] = "Future days are not known; the chart ends today."
        return None, min(first, today), min(last, today)
    if why:
        messages["range"] = f"{why} The last {formatting.plural(DEFAULT_DAYS, 'day')} are shown."
    days = values.get("days", DEFAULT_DAYS)
    return (days, *(selectors.all_days(today) if days == ALL else selectors.last_days(days, today)))


def _quoted(text: str) -> str:
    return f"“{formatting.short(text, 40, 10)}”"
