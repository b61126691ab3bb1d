"""Provide tags for every page: the demo bar, the version, backticks as code."""

from __future__ import annotations

import re

from django import template
from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString

from fluxtracker import __version__

register = template.Library()


@register.inclusion_tag("parts/demo.html")
def demo_bar() -> dict[str, bool]:
    """Show that nothing is real if this process uses a demo's data."""
    return {"is_demo": settings.DEMO}


@register.simple_tag
def version() -> str:
    return __version__


@register.filter
def ticks(text: str) -> SafeString:
    """Return the text with words in backticks as code."""
    return SafeString(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))
