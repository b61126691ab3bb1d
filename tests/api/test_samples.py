"""The page of the API: public endpoints first, each with a curl line, and with a sample like the answer of today."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from fluxtracker.api import views
from tests.api.conftest import plain_static_files
from tests.api.samples import Answers, answers, build, in_process, today

__all__ = ["answers", "build", "in_process", "plain_static_files", "today"]


def keys(value: Any) -> Any:
    """The value without its figures: what a reader of the sample relies on."""
    if isinstance(value, dict):
        return {name: keys(item) for name, item in value.items()}
    if isinstance(value, list):
        return [keys(item) for item in value]
    if isinstance(value, str) and "\n" in value:
        head = value.partition("\n")[0]
        return keys(json.loads(head)) if head.startswith("{") else head  # of a file
    return None


@pytest.mark.django_db
def test_the_samples_have_the_keys_of_real_answers(answers: Answers) -> None:
    stored = json.loads(views.SAMPLES.read_text())
    assert stored.keys() == answers.keys() == {one.operation for one in views.endpoints()}
    wrong = [name for name in stored if keys(stored[name]) != keys(answers[name])]
    assert wrong == [], "run `.venv/bin/python -m pytest -q tests/api/samples.py`"


@pytest.mark.django_db
@pytest.mark.usefixtures("plain_static_files")
def test_every_endpoint_has_a_curl_line_and_a_sample_and_public_ones_come_first(client: Client) -> None:
    html = client.get("/api/docs/").text
    blocks = re.findall(r'<article class="panel endpoint" aria-labelledby="(\w+)">(.*?)</article>', html, re.S)
    assert len(blocks) == len(views.endpoints())
    public = {one.operation for one in views.endpoints() if one.is_public}
    assert {name for name, _ in blocks[: len(public)]} == public
    for name, block in blocks:
        curl = re.search(r'<pre class="curl".*?>(curl .*?)</pre>', block, re.S)
        assert curl, name
        assert '"http://testserver/' in curl[1]
        assert ("Authorization: Token $TOKEN" in curl[1]) == (name not in public)
        assert re.search(r'<pre class="sample".*?>[^<]', block), name
