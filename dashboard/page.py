"""The first page: its parts, in order, each read by itself; nothing asks an upstream."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest

from dashboard import panels
from dashboard.panels import Shown
from dashboard.registry import PANELS
from ops import health

BEFORE, AFTER, FOOT = ("strip", "feeds"), ("tiles", "chart", "payments"), ("sources",)


class NoDatabase(Exception):
    """The database cannot be reached, or is not migrated; the text is the health report's."""


@dataclass(frozen=True, slots=True)
class Part:
    """A panel in its place."""

    name: str
    title: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Page:
    """Above the period switch, below it, and at the foot."""

    before: tuple[Part, ...]
    after: tuple[Part, ...]
    foot: tuple[Part, ...]

    @property
    def title(self) -> str:
        """What a part has to say in the title."""
        return next((part.shown.title for part in self.after if part.shown.title), "Figures cannot be read")

    @property
    def parts(self) -> tuple[Part, ...]:
        return *self.before, *self.after, *self.foot

    @property
    def styles(self) -> list[str]:
        return [file for part in self.parts for file in PANELS[part.name].styles]

    @property
    def scripts(self) -> list[str]:
        return [file for part in self.parts for file in PANELS[part.name].scripts]


def read(request: HttpRequest, now: datetime) -> Page:
    """NoDatabase when there is nothing to read from. A part that fails says so in its place."""
    database = health.database_report()
    if database["status"] != "ok":
        raise NoDatabase(database["error"])
    return Page(_parts(BEFORE, request, now), _parts(AFTER, request, now), _parts(FOOT, request, now))


def _parts(names: Iterable[str], request: HttpRequest, now: datetime) -> tuple[Part, ...]:
    """A panel that is not there yet is not shown."""
    there = [PANELS[name] for name in names if name in PANELS]
    return tuple(Part(panel.name, panel.title, panels.show(panel, request, now)) for panel in there)
