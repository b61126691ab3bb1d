"""A simulated network behind real HTTP, and ways to work against it: in this process, or in processes of their own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as configured
from django.core.management import CommandError, call_command

from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.limits import Body, Shared
from tests.mailbox import Mailbox
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import Home, Outcome, Template

Build = Callable[..., SimServer]


@pytest.fixture
def build(settings: Any) -> Iterator[Build]:
    """Makes networks that stand still, and points the settings at the last one made."""
    servers: list[SimServer] = []

    def make(payments: int = 60, **options: Any) -> SimServer:
        world = World(**({"payments": payments, "old_messages": 5, "nodes": 5, "frozen": True} | options))
        servers.append(SimServer(world).start())
        for name, value in servers[-1].settings().items():
            setattr(settings, name, value)
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def sim(build: Build) -> SimServer:
    """A network with 60 payments of every kind in its past."""
    return build()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox()
    yield box
    box.close()


class Impatient(Http):
    """Gives up soon what a test has made hang (`settings.HANGING_PATHS`), and waits for all else."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._hasty = Http(**options | {"timeout": 0.3})

    def _opened(self, url: str, *others: Any) -> Body:
        hanging = getattr(configured, "HANGING_PATHS", None)
        if hanging is None or not re.search(hanging, urlsplit(url).path):
            return super()._opened(url, *others)
        return self._hasty._opened(url, *others)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs a command in this process as if it had one of its own: closed circuits, and no pauses between tries."""

    def from_settings(cls: type[Http]) -> Http:
        return Impatient(
            timeout=configured.UPSTREAM_TIMEOUT,
            rate=configured.UPSTREAM_RATE,
            sleep=lambda seconds: None,
            shared=Shared(),
        )

    monkeypatch.setattr(Http, "from_settings", classmethod(from_settings))
    for module in ("sessions", "utils"):  # a twelfth of a sync's time: no proxy leads to this machine
        monkeypatch.setattr(f"requests.{module}.get_environ_proxies", lambda url, no_proxy=None: {})
    monkeypatch.setattr("fluxtracker.upstream.fluxos.DUMP_BYTES", 64 << 20)  # an answer without end is over sooner

    def manage(*words: str) -> Outcome:
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with redirect_stderr(err):
            try:
                call_command(*words, stdout=out, stderr=err)
            except CommandError as error:
                code = error.returncode
                err.write(f"{error}\n")
        return Outcome(code, out.getvalue(), err.getvalue())

    return manage


@dataclass(frozen=True)
class Warned:
    """The warnings that were logged, as dictionaries."""

    caplog: pytest.LogCaptureFixture

    def __call__(self) -> list[dict[str, Any]]:
        found = [record.msg for record in self.caplog.records if record.levelname == "WARNING"]
        assert all(isinstance(event, dict) for event in found), found
        return found  # type: ignore[return-value]

    def forget(self) -> None:
        self.caplog.clear()


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Warned:
    return Warned(caplog)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    """A migrated database to copy: of the engine that the tests run on."""
    made = Template(tmp_path_factory.mktemp("template"))
    yield made
    made.drop()


@pytest.fixture
def home(template: Template, tmp_path: Any) -> Iterator[Home]:
    """An installation with its own data dir and database, whose programs are real processes."""
    made = Home(tmp_path / "home", template.copy(tmp_path / "home"))
    yield made
    made.close()


@pytest.fixture
def empty_home(tmp_path: Any) -> Iterator[Home]:
    """The same before its first `migrate`."""
    made = Home(tmp_path / "home", Template.empty(tmp_path / "home"))
    yield made
    made.close()
