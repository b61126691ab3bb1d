"""A simulated network with apps of every age, and an API to ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from metrics.models import ImageCount, Source
from tests.api.conftest import get
from tests.system.conftest import build, in_process

__all__ = ["build", "get", "in_process"]


@pytest.fixture
def images(db: None) -> Callable[..., None]:
    """What a collection of metrics counted, some minutes ago."""

    def counted(minutes: float = 5, **counts: int) -> None:
        Source.objects.update_or_create(
            name=Source.Name.APPS, defaults={"read_at": timezone.now() - timedelta(minutes=minutes), "values": {}}
        )
        ImageCount.objects.bulk_create(
            ImageCount(image=image.replace("__", "/").replace("_", "-"), count=count) for image, count in counts.items()
        )

    return counted


@pytest.fixture
def refresh(in_process: Any) -> Callable[[], Any]:
    """The command; answers its report."""

    def run() -> Any:
        outcome = in_process("refresh_carousel", "--json")
        assert outcome.code == 0, outcome.err
        return outcome.report

    return run
