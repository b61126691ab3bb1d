"""The ages in a piece of HTML: told anew when it is sent again, left out when it is compared."""

from __future__ import annotations

import re
from datetime import datetime

from django.utils.safestring import SafeString, mark_safe

from fluxtracker import figures

AGE = re.compile(r'(<time datetime="([^"]+)"[^>]* data-age>)[^<]*')  # as the tag `age` writes it


def told(html: str, now: datetime) -> SafeString:
    """The HTML with each age as it is `now`."""

    def age(found: re.Match[str]) -> str:
        return found[1] + figures.ago(datetime.fromisoformat(found[2]), now)

    return mark_safe(AGE.sub(age, html))  # noqa: S308  what is put in is our own words


def without(html: str) -> str:
    """The HTML without its ages: they change by themselves, and `js/times.js` lets them."""
    return AGE.sub(r"\1", html)
