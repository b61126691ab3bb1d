"""`manage.py test_alert`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from ops.models import Alert
from tests.ops.webhook_server import HOST, Server

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "plenty")]


def run_command(*words: str) -> tuple[int, dict[str, Any] | None, str]:
    """Exit code, report and reason of `test_alert --json`."""
    import io

    out = io.StringIO()
    try:
        call_command("test_alert", "--json", *words, stdout=out)
    except CommandError as error:
        return error.returncode, json.loads(out.getvalue()), str(error)
    return 0, json.loads(out.getvalue()), ""


def test_the_test_says_that_nobody_is_told() -> None:
    words = "no alert channel is configured: set ALERT_URLS, ALERT_WEBHOOK_URL or ALERT_EMAILS"
    assert run_command() == (1, {"email": None, "webhook": None, "error": words}, words)


def test_the_test_goes_through_every_channel(mails: list[Any], hook: Server) -> None:
    assert run_command() == (0, {"email": "sent", "webhook": "sent"}, "")
    assert hook.asked[0][2]["event"] == "test"
    assert "this is a test" in mails[0].subject
    assert not Alert.objects.exists()


def test_the_test_names_the_channel_that_failed_without_its_secret(mails: list[Any], hook: Server) -> None:
    hook.names[HOST] = ["127.0.0.1"]
    code, report, reason = run_command()
    refused = "hooks.example is not on the public internet (127.0.0.1)"
    assert (code, reason) == (1, f"webhook: {refused}")
    assert report == {"email": "sent", "webhook": refused, "error": reason}
