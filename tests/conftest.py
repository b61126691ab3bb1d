import os

import pytest
from hypothesis import settings

from fluxtracker.upstream.shared import Shared

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


@pytest.fixture(autouse=True)
def closed_circuits(monkeypatch):
    """Every test is a process of its own as far as pace and circuits towards the upstreams go."""
    monkeypatch.setattr("fluxtracker.upstream.http.PROCESS", Shared())


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """The same for the comparisons that a process keeps for its readers."""
    monkeypatch.setattr("snapshots.warm.KEPT", {})
