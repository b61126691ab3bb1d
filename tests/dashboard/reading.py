"""Pages as a reader sees them: words without markup, white space made even."""

from __future__ import annotations

import re
from datetime import datetime
from html import unescape

from django.test import Client
from django.utils import timezone

from fluxtracker import formatting

AGE = re.compile(r'<time datetime="([^"]+)"[^>]* data-age>[^<]*')


def html(client: Client, address: str = "/", **headers: str) -> str:
    response = client.get(address, headers=headers)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def words(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", with_ages(markup))).split())


def with_ages(markup: str) -> str:
    """The markup with its ages, as js/times.js shows them."""
    now = timezone.now()
    return AGE.sub(lambda found: f"<time>{formatting.ago(datetime.fromisoformat(found[1]), now)}", markup)


def text(client: Client, address: str = "/") -> str:
    return words(html(client, address))


def panel(client: Client, name: str, query: str = "") -> str:
    """The words of one panel."""
    return words(html(client, f"/panels/{name}/{query}"))


def tile(client: Client, key: str, query: str = "") -> str:
    """The markup of one tile."""
    body = html(client, f"/panels/tiles/{query}")
    found = re.search(rf'<article[^>]*data-tile="{key}".*?</article>', body, re.DOTALL)
    assert found, f"no tile {key}"
    return found[0]


def plain(markup: str) -> str:
    """The words without trend lines and what they are said to show."""
    without = re.sub(r'<a class="course".*?</a>|<span class="course">.*?</span></span>', "", markup, flags=re.DOTALL)
    return words(without)


def told(client: Client, key: str, query: str = "") -> str:
    """The words of one tile."""
    return plain(tile(client, key, query))


def row(client: Client, key: str, label: str, query: str = "") -> str:
    """The words of one line of a tile."""
    lines = map(plain, re.findall(r"<li.*?</li>", tile(client, key, query), re.DOTALL))
    return next(line for line in lines if line.startswith(label))
