"""Build the upstream clients that the settings name, and the cheapest request that shows each works."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from django.conf import settings

from fluxtracker.upstream import price_feeds
from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.chain.daemon import Daemon
from fluxtracker.upstream.fluxos import AppRegistry, envelope
from fluxtracker.upstream.http.client import MEDIUM, Http
from fluxtracker.upstream.http.errors import BadAnswer
from fluxtracker.upstream.parsing import is_address
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


Probe = Callable[[], int | None]
"""Asks and answers the height of the last block; None where the upstream tells none. UpstreamError when it fails."""


def probes(http: Http) -> dict[str, Probe]:
    """Return the question to each upstream, by its name. A Blockbook is named by its host."""
    found: dict[str, Probe] = {}
    for url in settings.BLOCKBOOK_URLS:
        book = Blockbook(http, url)
        found[_free_name(book.host, found)] = partial(_blockbook, book)
    found["daemon"] = daemon(http).height
    found["fluxos"] = partial(_fluxos, http)
    found["stats"] = partial(_stats, http)
    found["coingecko"] = partial(_price, price_feeds.coingecko_now, http)
    found["binance"] = partial(_price, price_feeds.binance_now, http)
    found["explorer"] = partial(_price, price_feeds.explorer_currency, http)
    if settings.CRYPTOCOMPARE_API_KEY:
        found["cryptocompare"] = partial(_price, price_feeds.cryptocompare_now, http)
    return found


def _free_name(host: str, taken: dict[str, Probe]) -> str:
    """Several instances may share a host. Numbers and not paths tell them apart: a path may hold a key."""
    host = host[:90]
    return next(name for name in (host, *(f"{host} ({n})" for n in range(2, 99))) if name not in taken)


def _blockbook(book: Blockbook) -> int:
    return book.tip().height


def _fluxos(http: Http) -> None:
    """The terms of deployment name the address that is paid to."""
    base = settings.FLUX_API_URL.rstrip("/") + "/apps"
    host, where = _place(f"{base}/deploymentinformation")
    data = envelope(http.get_json(f"{base}/deploymentinformation", max_bytes=MEDIUM, endpoint=base), host, where)
    if not isinstance(data, dict) or not isinstance(data.get("address"), str) or not is_address(data["address"]):
        raise BadAnswer(host, where, "the terms of deployment name no address")


def _stats(http: Http) -> None:
    """One word a node."""
    base = settings.FLUX_STATS_URL.rstrip("/")
    host, where = _place(f"{base}/fluxinfo")
    answer = http.get_json(f"{base}/fluxinfo", {"projection": "tier"}, max_bytes=MEDIUM, endpoint=base)
    rows = answer if isinstance(answer, list) else envelope(answer, host, where)
    if not isinstance(rows, list) or not any(isinstance(row, dict) and row.get("tier") for row in rows):
        raise BadAnswer(host, where, "no list of nodes")


def _price(feed: Callable[[Http, datetime], object], http: Http) -> None:
    feed(http, datetime.now(UTC))


def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path
