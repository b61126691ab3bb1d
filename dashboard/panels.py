"""The parts of the page, each read and shown by itself: one that fails does not take the others with it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from dashboard import ages
from dashboard.memory import Memory
from fluxtracker.api.caching import make_etag
from fluxtracker.api.errors import is_database_trouble
from fluxtracker.database_words import database_words

log = structlog.get_logger(__name__)

Context = Mapping[str, Any]
Key = tuple[str, str]
Kept = tuple[Hashable, "Shown"]

REMEMBERED = 128  # rendered panels a process keeps: five periods, and some of the states that visitors link to
KEPT: Memory[Key, Kept] = Memory(REMEMBERED)


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page. `read` gives its template what it shows, from the address's query and the time.

    `stamp`: what the panel is made of. While it is the same, for the same query, the panel is not made again.
    `styles` and `scripts`: static files that the page needs for it.
    """

    name: str
    title: str
    template: str
    read: Callable[[QueryDict, datetime], Context]
    stamp: Callable[[QueryDict, datetime], Hashable] | None = None
    styles: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel as HTML. `failed`: it says that it could not be read, with a way to try again."""

    html: SafeString
    failed: bool = False
    title: str = ""
    """What the panel has to say in the title of the page; mostly nothing."""

    @property
    def etag(self) -> str:
        """The same as long as nothing but ages has changed."""
        return make_etag(ages.without(self.html))

    def at(self, now: datetime) -> Shown:
        """The same, with the ages of the figures as they are now."""
        return Shown(ages.told(self.html, now), self.failed, self.title)


def show(panel: Panel, request: HttpRequest, now: datetime) -> Shown:
    """The panel's HTML. Whatever goes wrong inside is logged and told in the panel's own place."""
    try:
        return _remembered(panel, request, now)
    except Exception as error:
        if is_database_trouble(error):
            log.warning("panel_failed", panel=panel.name, error=database_words(error))
        else:
            log.exception("panel_failed", panel=panel.name)
        return Shown(render_to_string("parts/failed.html", _frame(panel, request, now), request), failed=True)


def _remembered(panel: Panel, request: HttpRequest, now: datetime) -> Shown:
    if panel.stamp is None:
        return _made(panel, request, now)
    key, stamp = (panel.name, request.GET.urlencode()), panel.stamp(request.GET, now)
    kept = KEPT.get(key)
    if kept is not None and kept[0] == stamp:
        return kept[1].at(now)
    shown = _made(panel, request, now)
    KEPT.put(key, (stamp, shown))
    return shown


def _made(panel: Panel, request: HttpRequest, now: datetime) -> Shown:
    context = _frame(panel, request, now) | dict(panel.read(request.GET, now))
    html = render_to_string(panel.template, context, request)
    return Shown(html, title=str(context.get("page_title", "")))


def _frame(panel: Panel, request: HttpRequest, now: datetime) -> dict[str, Any]:
    return {"panel": panel, "now": now, "query": request.GET}
