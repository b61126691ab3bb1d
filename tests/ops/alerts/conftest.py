"""An installation in which nothing is wrong, and its channels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core import mail

from ops import tasks
from ops.alerts import sending
from ops.jobs import runs
from ops.models import Alert, TaskState
from revenue.models import LedgerState
from snapshots.models import Snapshot
from tests.ops.conftest import NOW
from tests.ops.webhook_server import HOST, PATH, Server, serving

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GB = 1 << 30


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The data dir's disk."""
    found = SimpleNamespace(total=100 * GB, free=50 * GB)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: found)
    return found


@pytest.fixture
def plenty(disk: SimpleNamespace, installed: Callable[[datetime], None]) -> None:
    """An installation of a month ago in which nothing is wrong."""
    installed(NOW - 30 * DAY)
    LedgerState.objects.update_or_create(id=1, defaults={"completed_at": NOW, "tip_changed_at": NOW, "tip_height": 5})
    Snapshot.objects.create(day=NOW.date(), made_at=NOW, source="taken")
    TaskState.objects.create(name="backup", last_success_at=NOW)


@pytest.fixture
def mails(settings: Any) -> list[Any]:
    settings.ALERT_EMAILS = ["one@example.org", "two@example.org"]
    return mail.outbox


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Server]:
    """ALERT_WEBHOOK_URL leads to a server here."""
    settings.ALERT_WEBHOOK_URL = f"https://{HOST}{PATH}"
    with serving() as server:
        monkeypatch.setattr(sending, "Webhook", server.webhook)
        yield server


def check() -> list[str]:
    """What the schedule does, and then what it asks for. The keys of what is open."""
    tasks.check_alerts()
    tasks.send_alerts()
    return sorted(Alert.objects.filter(closed_at=None).values_list("key", flat=True))


def fail(times: int, name: str = "some_work") -> None:
    for _ in range(times):
        with pytest.raises(runs.NotDone), runs.run(name, trigger="command"):
            raise runs.NotDone("the reason", {})


def succeed(name: str = "some_work") -> None:
    with runs.run(name, trigger="command"):
        pass


def events(hook: Server) -> list[str]:
    return [body["event"] for _, _, body in hook.asked]
