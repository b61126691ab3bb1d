"""Format figures and trend lines in templates; see fluxtracker.formatting."""

from __future__ import annotations

from datetime import UTC, datetime

from django import template
from django.http import QueryDict
from django.utils import timezone
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
register.filter("flux", formatting.flux)
register.filter("usd", formatting.usd)
register.filter("price", formatting.price)
register.simple_tag(figures.spark, name="spark")


@register.simple_tag
def instant(when: datetime, layout: str = "%Y-%m-%d %H:%M:%S", attribute: str = "") -> SafeString:
    """Return a UTC time. `js/times.js` adds the reader's local time on hover."""
    utc = when.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{} UTC"{}>{}</time>',
        utc.isoformat(timespec="seconds"),
        utc.strftime("%Y-%m-%d %H:%M:%S"),
        attribute,
        utc.strftime(layout),
    )


@register.simple_tag
def age(when: datetime) -> SafeString:
    """Return a UTC time that `js/times.js` shows as an age, `41 s ago`. Both take about the same room."""
    layout = "%H:%M UTC" if when.date() == timezone.now().date() else "%-d %b, %H:%M UTC"
    return instant(when, layout, SafeString(" data-age"))


@register.simple_tag
def unknown(why: str, *key: object) -> SafeString:
    """Return the dash of an unknown figure with its reason one hover or focus away. `key` is unique on the page."""
    dash = '<span class="unknown" id="why-{}" tabindex="0">—<span class="why">{}</span></span>'
    return format_html(dash, "".join(map(str, key)), why)


@register.simple_tag
def moved(change: Change | None) -> SafeString | str:
    """Return a change: the arrow is for the eye, the words carry the sign. Empty where it is not known."""
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
    """Return a share as a bar, for the eye: its number is shown beside it."""
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
