"""The upstreams as the settings name them."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from fluxtracker.upstream.blockbook import Blockbook
from fluxtracker.upstream.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http import Http
from fluxtracker.upstream.stats import Stats


def chain_sources(http: Http) -> list[Blockbook | Daemon]:
    """Return the sources of the chain in the order they are asked: every Blockbook, each once, then the daemon."""
    urls: dict[object, str] = {}
    for url in settings.BLOCKBOOK_URLS:
        parts = urlsplit(url)
        urls.setdefault((parts.hostname, parts.port if parts.port not in (80, 443) else None, parts.path), url)
    blockbooks: list[Blockbook | Daemon] = [Blockbook(http, url) for url in urls.values()]
    return [*blockbooks, daemon(http)]


def app_registry(http: Http) -> AppRegistry:
    return AppRegistry(http, settings.FLUX_API_URL)


def daemon(http: Http) -> Daemon:
    return Daemon(http, settings.FLUX_API_URL)


def stats(http: Http) -> Stats:
    return Stats(http, settings.FLUX_STATS_URL)
