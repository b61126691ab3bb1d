"""Read and render each panel on its own, so that one that fails leaves the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.http import quote_etag
from django.utils.safestring import SafeString

from fluxtracker.api.conditional import make_etag
from fluxtracker.api.exceptions import is_database_trouble
from fluxtracker.database import database_words

log = structlog.get_logger(__name__)

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page. `read` gives its template what it shows, from the address's query and the time.

    `stamp` changes with what the panel shows, and is cheaper to find than the panel is to render. `keys` are those of
    the address that the panel depends on, `usual` the value of the first where it is left out.
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
    etag: str = ""
    """Of the panel's own address; empty where the panel failed: it is asked for again."""


def peek(panel: Panel, query: QueryDict, now: datetime) -> tuple[str, Shown | None]:
    """Return the panel's ETag, and the panel where it had to be rendered to know it."""
    if panel.stamp is not None:
        with suppress(Exception):  # `show` meets it again, logs it, and shows that the panel failed
            return make_etag(panel.name, query.urlencode(), panel.stamp(query, now)), None
    shown = show(panel, query, now)
    return quote_etag(hashlib.sha256(shown.html.encode()).hexdigest()), shown


def show(panel: Panel, query: QueryDict, now: datetime) -> Shown:
    """Return the rendered panel. An error inside is logged, and the panel says so in its own place."""
    try:
        context = {"query": query, **panel.read(query, now)}
        return Shown(panel, render_to_string(panel.template, context), context.get("page_title", ""))
    except Exception as error:
        if is_database_trouble(error):
            log.warning("panel_failed", panel=panel.name, error=database_words(error))
        else:
            log.exception("panel_failed", panel=panel.name)
        return Shown(panel, render_to_string("parts/failed.html", {"panel": panel, "query": query}), failed=True)
