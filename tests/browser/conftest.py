"""A browser on a real server with the static files as they are shipped. Any console or policy error fails a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Condition
from unittest import mock
from urllib.parse import urlsplit

import pytest
from django.core.signals import request_finished, request_started
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright
from pytest_django.live_server_helper import LiveServer

from ops import health
from tests import engines
from tests.dashboard import rows


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
        browser = playwright.chromium.launch(executable_path=path, args=["--disable-gpu"])
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
        context.on("weberror", lambda error: self.troubles.append(str(error.error)))
        context.on("request", self._request)

    def _request(self, request: Request) -> None:
        self.requests.append(request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(request.url).netloc for request in self.requests}

    @property
    def polls(self) -> list[Request]:
        return [request for request in self.requests if request.headers.get("hx-request")]


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
def server_at_rest() -> Iterator[None]:
    """Waits after a test until every request that its pages have made is answered."""
    busy = Busy()
    request_started.connect(busy.started)
    request_finished.connect(busy.finished)
    yield
    assert busy.over()
    request_started.disconnect(busy.started)
    request_finished.disconnect(busy.finished)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def context(chromium: Browser, live_server: LiveServer, watch: Watch, server_at_rest: None) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=live_server.url, viewport={"width": 1440, "height": 900})
    watch.on(context)
    yield context
    context.close()
    assert watch.troubles == []
    assert watch.hosts <= {urlsplit(live_server.url).netloc}


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


@pytest.fixture
def ledger(chromium: Browser, live_server: LiveServer, server_at_rest: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger in order, with 30 payments of today and before, and the network as it is now."""
    monkeypatch.setattr(health, "broker_report", lambda: {"status": "ok"})
    monkeypatch.setattr(rows, "NOW", timezone.now())
    rows.synced(rows.NOW)
    rows.tracked()
    rows.network(rows.NOW)
    rows.many(30)
