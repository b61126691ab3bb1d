"""Read and render each panel separately, so that a failure does not affect the others."""

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
    """A part of the page. `read` returns its template context from the query and the time.

    `stamp` changes with the panel's content, and is cheaper to compute than rendering. `keys` are the query keys that
    the panel depends on, `usual` the default of the first.
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
    """A rendered panel. `failed`: it shows an error with a link to try again.

    `title` is its part of the page title, usually empty.
    """

    panel: Panel
    html: SafeString
    title: str = ""
    failed: bool = False
    etag: str = ""
    """Of the panel's own URL; empty if the panel failed, so that it is requested again."""


def peek(panel: Panel, query: QueryDict, now: datetime) -> tuple[str, Shown | None]:
    """Return the panel's ETag, and the panel if it had to be rendered for that."""
    if panel.stamp is not None:
        with suppress(Exception):  # `show` hits the same error, logs it, and shows that the panel failed
            return make_etag(panel.name, query.urlencode(), panel.stamp(query, now)), None
    shown = show(panel, query, now)
    return quote_etag(hashlib.sha256(shown.html.encode()).hexdigest()), shown


def show(panel: Panel, query: QueryDict, now: datetime) -> Shown:
    """Return the rendered panel. An error is logged and shown in place of the panel."""
    try:
        context = {"query": query, **panel.read(query, now)}
        return Shown(panel, render_to_string(panel.template, context), context.get("page_title", ""))
    except Exception as error:
        if is_database_trouble(error):
            log.warning("panel_failed", panel=panel.name, error=database_words(error))
        else:
            log.exception("panel_failed", panel=panel.name)
        return Shown(panel, render_to_string("parts/failed.html", {"panel": panel, "query": query}), failed=True)
