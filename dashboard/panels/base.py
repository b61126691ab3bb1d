"""Read and render each panel on its own, so that one that fails leaves the others, and cache what was rendered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.core.cache import cache
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.http import quote_etag
from django.utils.safestring import SafeString

from fluxtracker.api.exceptions import is_database_trouble
from fluxtracker.database import database_words

log = structlog.get_logger(__name__)

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page. `read` gives its template what it shows, from the address's query and the time.

    `stamp` changes with what the panel shows: while it is the same, for the same query, the panel is not rendered
    again. `keys` are those of the address that the panel depends on, `usual` the value of the first where it is left
    out.
    """

    name: str
    title: str
    template: str
    read: Callable[[QueryDict, datetime], Context]
    stamp: Callable[[QueryDict, datetime], object] | None = None
    keys: tuple[str, ...] = ()
    usual: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A rendered panel. `failed`: it shows that it could not be read, with a link to try again.

    `title` is what it contributes to the title of the page; mostly empty.
    """

    panel: Panel
    html: SafeString
    title: str = ""
    failed: bool = False

    @property
    def etag(self) -> str:
        return quote_etag(_digest(self.html))


def show(panel: Panel, query: QueryDict, now: datetime) -> Shown:
    """Return the rendered panel. An error inside is logged, and the panel says so in its own place."""
    try:
        return Shown(panel, *_cached(panel, query, now))
    except Exception as error:
        if is_database_trouble(error):
            log.warning("panel_failed", panel=panel.name, error=database_words(error))
        else:
            log.exception("panel_failed", panel=panel.name)
        return Shown(panel, render_to_string("parts/failed.html", {"panel": panel, "query": query}), failed=True)


def _cached(panel: Panel, query: QueryDict, now: datetime) -> tuple[SafeString, str]:
    """Return HTML and title, from the cache of this process while the stamp fits."""
    if panel.stamp is None:
        return _render(panel, query, now)
    key, stamp = _digest(f"{panel.name}?{query.urlencode()}"), panel.stamp(query, now)
    found = cache.get(key)
    if found is None or found[0] != stamp:
        found = stamp, _render(panel, query, now)
        cache.set(key, found)
    rendered: tuple[SafeString, str] = found[1]
    return rendered


def _render(panel: Panel, query: QueryDict, now: datetime) -> tuple[SafeString, str]:
    context = {"query": query, **panel.read(query, now)}
    return render_to_string(panel.template, context), context.get("page_title", "")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
