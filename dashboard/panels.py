"""The parts of the page, each read and shown by itself: one that fails does not take the others with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.http import HttpRequest, QueryDict
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

log = structlog.get_logger(__name__)

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of the page. `read` gives its template what it shows, from the address's query and the time."""

    name: str
    title: str
    template: str
    read: Callable[[QueryDict, datetime], Context]


@dataclass(frozen=True, slots=True)
class Shown:
    """A panel as HTML. `failed`: it says that it could not be read, with a way to try again."""

    html: SafeString
    failed: bool = False


def show(panel: Panel, request: HttpRequest, now: datetime) -> Shown:
    """The panel's HTML. Whatever goes wrong inside is logged and told in the panel's own place."""
    frame = {"panel": panel, "now": now, "query": request.GET}
    try:
        context = frame | dict(panel.read(request.GET, now))
        return Shown(render_to_string(panel.template, context, request))
    except Exception:
        log.exception("panel_failed", panel=panel.name)
        return Shown(render_to_string("parts/failed.html", frame, request), failed=True)
