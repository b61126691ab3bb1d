"""A browser on a real server with the static files as they are shipped. Any console or policy error fails a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Condition
from typing import Any
from unittest import mock
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.signals import request_finished, request_started
from django.utils import timezone
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    ViewportSize,
    WebError,
    expect,
    sync_playwright,
)
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from ops.status import Status
from tests import engines
from tests.browser.worlds import Worlds
from tests.dashboard import rows
from tests.waiting import AMPLE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs a browser."""
    for item in items:
        if "/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def live_server() -> Iterator[LiveServer]:
    """As pytest-django's, but static files come from whitenoise: hashed, as in production."""
    with mock.patch("django.contrib.staticfiles.handlers.StaticFilesHandler", lambda application: application):
        server = LiveServer("localhost")
    yield server
    server.stop()


SWITCHES = ("--disable-gpu", "--process-per-site")  # all pages in one process: its start costs more than a page


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = engines.chromium()
    if path is None:
        message = "no chromium on this machine (apt-get install chromium-headless-shell)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"browser tests must not be skipped in CI: {message}")
        pytest.skip(f"BROWSER TESTS SKIPPED: {message}")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # playwright's loop runs in this thread
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        expect.set_options(timeout=AMPLE * 1_000)  # a verdict is no question of speed
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Watch:
    """What went wrong in the pages of a context, and which addresses they asked for."""

    troubles: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def on(self, context: BrowserContext) -> None:
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)

    def off(self, context: BrowserContext) -> None:
        context.remove_listener("console", self._console)
        context.remove_listener("weberror", self._error)
        context.remove_listener("request", self._request)

    def _request(self, request: Request) -> None:
        self.requests.append(request)

    def _error(self, error: WebError) -> None:
        self.troubles.append(str(error.error))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(request.url).netloc for request in self.requests}

    @property
    def polls(self) -> list[Request]:
        return [request for request in self.requests if urlsplit(request.url).path.startswith("/panels/")]


class Busy:
    """How many requests the server is at: a database is not cleared under their feet."""

    def __init__(self) -> None:
        self.count = 0
        self.changed = Condition()

    def started(self, **signal: object) -> None:
        self.add(1)

    def finished(self, **signal: object) -> None:
        self.add(-1)

    def add(self, number: int) -> None:
        with self.changed:
            self.count += number
            self.changed.notify_all()

    def over(self, seconds: float = 10) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.count <= 0, seconds)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    """The server's clock begins at the same time for every test, and goes on: what was made for one fits the next."""
    with time_machine.travel(rows.NOW) as traveller:
        yield traveller


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """As pytest-django's, but the tables are not emptied after each test: `worlds` puts their rows back."""
    with django_db_blocker.unblock():
        yield


@pytest.fixture(autouse=True)
def rows_put_back() -> None:
    """Leave it to `worlds`, which does it before the next test."""


@pytest.fixture(scope="package")
def worlds(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Worlds]:
    with django_db_blocker.unblock():
        worlds = Worlds()
    yield worlds
    with django_db_blocker.unblock():
        worlds.leave()


@pytest.fixture
def server_at_rest(transactional_db: None, clock: time_machine.Traveller) -> Iterator[None]:
    """Waits after a test until every request that its pages have made is answered."""
    busy = Busy()
    request_started.connect(busy.started)
    request_finished.connect(busy.finished)
    yield
    assert busy.over()
    request_started.disconnect(busy.started)
    request_finished.disconnect(busy.finished)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that answers."""
    monkeypatch.setattr("ops.broker.status", Status)


@pytest.fixture
def watch() -> Watch:
    return Watch()


SCREEN: ViewportSize = {"width": 1440, "height": 900}


@dataclass
class Shared:
    """A context that tests share, with its cache of static files. A page that stays open keeps its process."""

    context: BrowserContext
    stays: Page

    @classmethod
    def of(cls, chromium: Browser, url: str) -> Shared:
        context = chromium.new_context(base_url=url, viewport=SCREEN)
        context.set_default_timeout(AMPLE * 1_000)
        page = context.new_page()
        page.goto("/data/")
        return cls(context, page)

    def clear(self) -> None:
        """Close what a test has opened, and forget what it has stored."""
        for page in self.context.pages:
            if page != self.stays:
                page.close()
        self.stays.evaluate("localStorage.clear()")
        self.context.clear_cookies()
        self.context.clear_permissions()


def asks(name: str, period: str = "") -> Callable[[Response], bool]:
    """Whether a response is that of a panel (for a period)."""

    def of(response: Response) -> bool:
        address = urlsplit(response.url)
        wanted = [period] if period else [None]
        return address.path == f"/panels/{name}/" and (not period or parse_qs(address.query).get("period") == wanted)

    return of


def in_theme(page: Page, theme: str, **media: Any) -> None:
    """Have the page and its system in this theme. The page is dark unless its reader chose otherwise."""
    page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page.emulate_media(color_scheme="light" if theme == "light" else "dark", **media)


def widths_of(page: Page, *widths: int) -> list[tuple[int, int]]:
    """Of these screens, narrow ones first, those that the page is not as wide as, with its own width."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        own = page.evaluate("document.documentElement.scrollWidth")
        if own != width:
            found.append((width, own))
    return found


@pytest.fixture(scope="session")
def contexts() -> dict[bool, Shared]:
    """By whether the clock of their pages is stopped, which a context cannot undo."""
    return {}


@pytest.fixture
def context(
    request: pytest.FixtureRequest,
    chromium: Browser,
    live_server: LiveServer,
    contexts: dict[bool, Shared],
    watch: Watch,
    server_at_rest: None,
) -> Iterator[BrowserContext]:
    still = "still" in request.fixturenames
    if still not in contexts:
        contexts[still] = Shared.of(chromium, live_server.url)
    shared = contexts[still]
    watch.on(shared.context)
    yield shared.context
    shared.clear()
    watch.off(shared.context)
    assert watch.troubles == []
    assert watch.hosts <= {urlsplit(live_server.url).netloc}


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def still(page: Page) -> None:
    """The clock of the page moves only when the test moves it."""
    now = timezone.now()
    page.clock.install(time=now)
    page.clock.pause_at(now + timedelta(seconds=1))


def in_order() -> None:
    """A ledger in order, with 30 payments of today and before, and the network as it is now."""
    rows.synced(rows.NOW)
    rows.tracked()
    rows.network(rows.NOW)
    rows.many(30)
    rows.pending()


@pytest.fixture
def ledger(server_at_rest: None, broker: None, worlds: Worlds) -> None:
    worlds.put(in_order)
