"""Read and render each panel on its own, so that one that fails leaves the others, and cache the result."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any, Generic, TypeVar

import structlog
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from fluxtracker import formatting
from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import is_database_trouble
from fluxtracker.database import database_words

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """At most `size` values by key; safe between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Key, Value] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Key, value: Value) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


AGE = re.compile(r'(<time datetime="([^"]+)"[^>]* data-age>)[^<]*')  # as the tag `age` writes it


def told(html: str, now: datetime) -> SafeString:
    """Return the HTML with each age as it is `now`."""

    def age(found: re.Match[str]) -> str:
        return found[1] + formatting.ago(datetime.fromisoformat(found[2]), now)

    return mark_safe(AGE.sub(age, html))  # noqa: S308  what is put in is our own words


def without(html: str) -> str:
    """Return the HTML without its ages: they change by themselves, and `js/times.js` lets them."""
    return AGE.sub(r"\1", html)


log = structlog.get_logger(__name__)

Context = Mapping[str, Any]
PanelKey = tuple[str, str]
Kept = tuple[Hashable, "Shown"]

REMEMBERED = 128  # rendered panels a process keeps: five periods, and some of the states that visitors link to
KEPT: Memory[PanelKey, Kept] = Memory(REMEMBERED)


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
        """Return the same as long as nothing but ages has changed."""
        return make_etag(without(self.html))

    def at(self, now: datetime) -> Shown:
        """Return the same, with the ages of the figures as they are now."""
        return Shown(told(self.html, now), self.failed, self.title)


def show(panel: Panel, request: HttpRequest, now: datetime) -> Shown:
    """Return the panel's HTML. Whatever goes wrong inside is logged and told in the panel's own place."""
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
