"""Filters of the list of payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest

from fluxtracker.periods import midnight


class DaysFilter(admin.ListFilter):
    """From one UTC day to another, both included and either left out; what is no day is told and filters nothing."""

    title = "day"
    template = "admin/days_filter.html"
    keys = ("from", "to")

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        given = {key: params.pop(key)[-1] for key in self.keys if key in params}
        self.used_parameters.update(given)
        self.first, self.last = (given.get(key, "") for key in self.keys)
        self.wrong = [text for text in (self.first, self.last) if text and as_day(text) is None]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.keys)

    def choices(self, changelist: ChangeList) -> Iterator[Mapping[str, object]]:
        """The other parameters of the page, which the form has to keep."""
        kept = {key: values[-1] for key, values in changelist.filter_params.items() if key not in self.keys}
        kept |= {"q": changelist.query} if changelist.query else {}
        return iter([{"name": name, "value": value} for name, value in kept.items()])

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        first, last = as_day(self.first), as_day(self.last)
        if first:
            queryset = queryset.filter(paid_at__gte=midnight(first))
        return queryset.filter(paid_at__lt=midnight(last + timedelta(days=1))) if last else queryset


class WaitingFilter(admin.SimpleListFilter):
    """Payments that lack something; both choices read a partial index."""

    title = "waiting for"
    parameter_name = "waiting"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("name", "an app name"), ("price", "a price")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "name":
            return queryset.unnamed()
        return queryset.unpriced() if self.value() == "price" else queryset


def as_day(text: str) -> date | None:
    """A day as YYYY-MM-DD; None for anything else."""
    try:
        return date.fromisoformat(text) if len(text) == len("2026-01-01") else None
    except ValueError:
        return None
