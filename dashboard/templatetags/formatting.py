"""Format figures and trend lines in templates; see fluxtracker.formatting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import quote, urlencode

from django import template
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.panels import periods, tile_figures
from dashboard.panels.payments.filters import PanelQuery
from dashboard.panels.tile_figures import Change
from fluxtracker import formatting

register = template.Library()

SECOND = "%Y-%m-%d %H:%M:%S"

register.filter("whole", formatting.whole)
register.filter("short", formatting.short)
register.filter("plural", formatting.plural)
register.filter("percent", formatting.percent)
register.filter("flux", formatting.flux)
register.filter("usd", formatting.usd)
register.filter("price", formatting.price)
register.simple_tag(tile_figures.spark, name="spark")


@register.simple_tag
def instant(when: date, layout: str = SECOND, attribute: str = "") -> SafeString:
    """Return a UTC time, or a day. `js/times.js` adds the local time on hover."""
    if not isinstance(when, datetime):
        return SafeString(f'<time datetime="{when}">{when.strftime(layout)}</time>')
    utc = when.astimezone(UTC)
    second = utc.isoformat(" ", "seconds").removesuffix("+00:00")
    text = second if layout == SECOND else utc.strftime(layout)
    return SafeString(
        f'<time datetime="{second.replace(" ", "T")}+00:00" title="{second} UTC"{attribute}>{text}</time>'
    )


@register.simple_tag
def age(when: datetime) -> SafeString:
    """Return a UTC time that `js/times.js` shows as an age, `41 s ago`, of about the same width."""
    layout = "%H:%M UTC" if when.date() == timezone.now().date() else "%-d %b, %H:%M UTC"
    return instant(when, layout, SafeString(" data-age"))


@register.simple_tag
def unknown(why: str, *key: object) -> SafeString:
    """Return the dash of an unknown figure, with its reason on hover or focus. `key` is unique on the page."""
    dash = '<span class="unknown" id="why-{}" tabindex="0">—<span class="why">{}</span></span>'
    return format_html(dash, "".join(map(str, key)), why)


@register.simple_tag
def moved(change: Change | None) -> SafeString | str:
    """Return a change: the arrow is visual, the words have the sign. Empty if not known."""
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
    """Return a share as a decorative bar; its number is shown next to it."""
    width = min(max(percent, 0), 100)
    return format_html(
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="all" width="100" height="1"/><rect class="part" width="{}" height="1"/></svg>',
        f"{width:.2f}",
    )


@register.simple_tag
def pace(places: Mapping[str, str]) -> SafeString:
    """Return a decorative bar of the period against the whole previous one; the chips have the words.

    `places`: this period, the previous one by now, and its end, in percent of the bar.
    """
    return format_html(
        '<svg class="bar pace" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="all" width="{whole}" height="1"/><rect class="part" width="{now}" height="1"/>'
        '<path class="mark" d="M{like} 0V1" vector-effect="non-scaling-stroke"/></svg>',
        **places,
    )


@register.simple_tag
def keep(query: QueryDict, key: str = "", value: str = "", **keys: str) -> str:
    """Return the current query with these keys set, or removed if empty."""
    keys |= {key: value} if key else {}
    kept = {key: value for key, value in {**dict(query.lists()), **keys}.items() if value}
    return f"?{urlencode(kept, doseq=True, safe=',:', quote_via=quote)}"


@register.simple_tag
def range_link(query: QueryDict, text: str = "") -> str:
    """Return the URL with this range of all panels, or none, and without the panels' own."""
    return keep(query, **dict.fromkeys(periods.OWN, ""), **{periods.RANGE: text})


@register.simple_tag
def link(requested: PanelQuery, **changes: object) -> str:
    """Return the URL of another state of the payments panel."""
    return requested.link({key: str(value) for key, value in changes.items()})
