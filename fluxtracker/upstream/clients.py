"""Build the configured upstream clients, and the cheapest request that checks each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from fluxtracker.upstream import price_feeds
from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.stats import Stats


def chain_sources(http: Http) -> list[Blockbook | Daemon]:
    """Return the chain sources in the order they are asked: each Blockbook once, then the daemon."""
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


Probe = Callable[[], int | None]
"""Asks and answers the height of the last block; None where the upstream tells none. UpstreamError when it fails."""


def probes(http: Http) -> dict[str, Probe]:
    """Return the check of each upstream by name. A Blockbook is named by its host."""
    checks: dict[str, Probe] = {}
    for url in settings.BLOCKBOOK_URLS:
        book = Blockbook(http, url)
        checks[_free_name(book.host, checks)] = partial(_height, book)
    checks["daemon"] = daemon(http).height
    checks["fluxos"] = partial(_answered, app_registry(http).payment_address)
    checks["stats"] = partial(_answered, stats(http).tiers)
    feeds: dict[str, Callable[[Http, datetime], object]] = {
        "coingecko": price_feeds.coingecko_now,
        "binance": price_feeds.binance_now,
        "explorer": price_feeds.explorer_currency,
    }
    if settings.CRYPTOCOMPARE_API_KEY:
        feeds["cryptocompare"] = price_feeds.cryptocompare_now
    return checks | {name: partial(_answered, feed, http, datetime.now(UTC)) for name, feed in feeds.items()}


def _free_name(host: str, taken: dict[str, Probe]) -> str:
    """Return an unused name, as instances may share a host. Numbered, since a path may contain a key."""
    host = host[:90]
    return next(name for name in (host, *(f"{host} ({n})" for n in range(2, 99))) if name not in taken)


def _height(book: Blockbook) -> int:
    return book.tip().height


def _answered(ask: Callable[..., object], *args: object) -> None:
    """Request it and drop the result: a usable one is enough."""
    ask(*args)
