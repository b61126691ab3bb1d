"""Helpers that build a network and ask its server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import requests

from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.waiting import AMPLE

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def build(**options: Any) -> World:
    """A frozen world without a past, unless options say otherwise."""
    return World(**({"payments": 0, "old_messages": 5, "nodes": 20, "now": NOW, "frozen": True} | options))


def get(sim: SimServer, path: str, **params: Any) -> Any:
    """The JSON of an answer, whatever its status."""
    return requests.get(f"{sim.url}{path}", params=params, timeout=AMPLE).json()
