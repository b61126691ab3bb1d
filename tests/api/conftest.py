from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from tests.factories import NOON

NOW = NOON + timedelta(hours=10)  # 2026-11-20 22:00 UTC, a Friday


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def get(client: Client) -> Callable[..., Any]:
    """GET a path under /api/ with query values; answers the JSON of a 200."""

    def ask(path: str, **query: Any) -> Any:
        query = {key.rstrip("_"): value for key, value in query.items()}  # from_ is a word of Python
        response = client.get(f"/api/{path}", query)
        assert response.status_code == 200, response.content
        return response.json()

    return ask


@pytest.fixture
def refused(client: Client) -> Callable[..., str]:
    """GET that must be a 400; answers what the error says."""

    def ask(path: str, **query: Any) -> str:
        query = {key.rstrip("_"): value for key, value in query.items()}
        response = client.get(f"/api/{path}", query)
        assert response.status_code == 400, response.content
        return response.json()["error"]

    return ask


@pytest.fixture
def plain_static_files(settings):
    """Pages without the built static files' hashed names."""
    backend = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = settings.STORAGES | {"staticfiles": backend}
