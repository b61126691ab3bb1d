"""Format figures and trend lines in templates; see fluxtracker.formatting."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from django import template
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.panels import figures
from dashboard.panels.figures import Change
from fluxtracker import formatting

register = template.Library()

register.filter("whole", formatting.whole)
register.filter("short", formatting.short)
register.filter("plural", formatting.plural)
register.filter("percent", formatting.percent)


@register.filter
def flux2(sat: int) -> str:
    """FLUX for a tile."""
    return formatting.flux(sat, 2)


@register.filter
def flux8(sat: int) -> str:
    """FLUX to the satoshi."""
    return formatting.flux(sat, 8)


@register.filter
def usd(micro: int) -> str:
    return formatting.usd(micro)


@register.filter
def price(value: Decimal) -> str:
    return formatting.price(value)


@register.simple_tag
def instant(when: datetime, layout: str = "%Y-%m-%d %H:%M:%S") -> SafeString:
    """Return a UTC time. `js/times.js` adds the reader's local time on hover."""
    utc = when.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        utc.strftime(layout),
    )


@register.simple_tag
def age(when: datetime, now: datetime) -> SafeString:
    """Return how long ago; `js/times.js` keeps it ticking."""
    utc = when.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC" data-age>{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        formatting.ago(utc, now),
    )


@register.simple_tag
def unknown(why: str, key: str) -> SafeString:
    """Return the dash of an unknown figure with its reason one hover or focus away. `key` is unique on the page."""
    return format_html('<span class="unknown" id="why-{}" tabindex="0">—<span class="why">{}</span></span>', key, why)


@register.simple_tag
def moved(change: Change | None) -> SafeString | str:
    """Return a change: the arrow is for the eye, the words carry the sign. Nothing where nobody knows it."""
    if change is None:
        return ""
    return format_html(
        '<span class="change" data-trend="{}"><span aria-hidden="true">{}</span> {}</span>',
        change.trend,
        change.arrow,
        change.words,
    )


@register.simple_tag
def bar(percent: float) -> SafeString:
    """Return a share as a bar, for the eye: its number stands beside it."""
    width = min(max(percent, 0), 100)
    return format_html(
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="all" width="100" height="1"/><rect class="part" width="{}" height="1"/></svg>',
        f"{width:.2f}",
    )


@register.simple_tag
def keep(query: QueryDict, **keys: str) -> str:
    """Return the address's query with these keys set: everything else a visitor chose stays."""
    changed = query.copy()
    for key, value in keys.items():
        changed[key] = value
    return f"?{changed.urlencode(safe=',:')}"


register.simple_tag(figures.spark, name="spark")
