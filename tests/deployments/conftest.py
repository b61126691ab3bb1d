"""A registry of app messages to read from, and the job that reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import responses
from django.conf import settings

from deployments import jobs
from fluxtracker.upstream.chain.daemon import TIP_MARGIN
from tests.api.conftest import clock, get, refused
from tests.deployments.messages import START

__all__ = ["clock", "get", "refused"]

Report = dict[str, Any]


class FakeRegistry:
    """Answers with `records` and with `running`: (name, hash, height) of the apps in force. Counts what it is asked."""

    def __init__(self, mock: responses.RequestsMock) -> None:
        self.records: list[Any] = []
        self.running: list[tuple[str, str, int]] = []
        self.templates = [{"name": "Palworld", "category": "Games"}, {"name": "N8N", "category": "Productivity"}]
        self.version: object = 8
        self.tip = START + 1000
        self.asked: list[str] = []
        self.dumps = 0
        self.fails_after: int | None = None
        self.index: list[Any] | None = None
        """What the index of hashes says; None: the hash of each record."""
        api, stats = settings.FLUX_API_URL, settings.FLUX_STATS_URL
        for url, answer in (
            (f"{api}/apps/permanentmessages", self._messages),
            (f"{api}/apps/hashes", lambda _: self._hashes()),
            (f"{api}/apps/globalappsspecifications", lambda _: self._specifications()),
            (f"{api}/apps/latestspecificationversion", lambda _: self.version),
            (f"{api}/daemon/getblockcount", lambda _: self.tip + TIP_MARGIN),
            (f"{stats}/marketplace/listapps", lambda _: self.templates),
        ):
            mock.add_callback(responses.GET, url, self._answering(answer))

    def _answering(self, answer: Callable[[Any], Any]) -> Callable[[Any], tuple[int, dict[str, str], bytes]]:
        return lambda request: (200, {}, orjson.dumps({"status": "success", "data": answer(request)}))

    def _messages(self, request: Any) -> list[Any]:
        wanted = parse_qs(urlsplit(request.url).query).get("hash")
        if wanted is None:
            self.dumps += 1
            return self.records if self.fails_after is None else self.records[: self.fails_after]
        self.asked += wanted
        return [record for record in self.records if isinstance(record, dict) and record.get("hash") in wanted]

    def _hashes(self) -> list[Report]:
        rows = [{"hash": row.get("hash"), "message": True} for row in self.records if isinstance(row, dict)]
        return rows if self.index is None else self.index

    def _specifications(self) -> list[Report]:
        rows = [{"name": name, "version": 8, "hash": hash_, "height": height} for name, hash_, height in self.running]
        return rows or [{"name": "other", "version": 8}]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield FakeRegistry(mock)


@pytest.fixture
def sync(db: None, registry: FakeRegistry) -> Callable[..., Report]:
    """Run the job; answers its report."""

    def run(*, full: bool = False) -> Report:
        return jobs.sync_messages(trigger="command", full=full)

    return run
