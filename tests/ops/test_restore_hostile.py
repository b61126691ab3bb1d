"""Forged backups with a valid checksum: one line, exit code 1, and no row changes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.marks import examples
from tests.ops.backing_up import backed_up, contents, lines, manage, rewritten
from tests.ops.test_backup_bad import assert_refused

pytestmark = pytest.mark.django_db
Change = Callable[[list[Any]], None]
MB = 1 << 20


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return backed_up(tmp_path / "all.gz")


def head(**values: Any) -> Change:
    return lambda found: found[0].update(values)


def table(which: str, **values: Any) -> Change:
    return lambda found: next(one for one in found[0]["tables"] if one["name"] == which).update(values)


def cell(name: str, column: str, value: Any) -> Change:
    def change(found: list[Any]) -> None:
        place = next(one for one in found[0]["tables"] if one["name"] == name)["columns"].index(column)
        found[found.index({"table": name}) + 1][place] = value

    return change


def twice(found: list[Any]) -> None:
    found[0]["tables"].append(found[0]["tables"][0])


def same_key(found: list[Any]) -> None:
    start = found.index({"table": "revenue_payment"}) + 1
    found[start + 1][0] = found[start][0]


HOSTILE: dict[str, Change] = {
    "rows below zero": table("revenue_payment", rows=-1),
    "rows that are none": table("revenue_payment", rows=1.5),
    "rows that are true": table("revenue_payment", rows=True),
    "more rows than there are": table("revenue_payment", rows=10**11),
    "rows without an end": table("revenue_payment", rows=10**30),
    "a version below": head(version=-1),
    "a version that is true": head(version=True),
    "tables that are an object": head(tables={}),
    "a table that is a number": head(tables=[1]),
    "a table twice": twice,
    "columns that are text": table("ops_alert", columns="id"),
    "columns twice": table("ops_alert", columns=["id", "id"]),
    "a name that is a list": table("ops_alert", name=["ops_alert"]),
    "migrations that are a list": head(migrations=["revenue"]),
    "migrations that are a number": head(migrations={"revenue": 1}),
    "a moment that is an object": head(made_at={}),
    "a long word": head(origin="x" * 10**6),
    "a list as text": cell("revenue_payment", "txid", ["a"] * 64),
    "an object as text": cell("revenue_payment", "address", {"a": 1}),
    "a number as text": cell("revenue_app", "name", 7),
    "text that is too long": cell("revenue_app", "name", "x" * 129),
    "text with a NUL": cell("revenue_app", "name", "a\x00b"),
    "text as a number": cell("revenue_payment", "amount_sat", "5"),
    "a number that is too large": cell("revenue_payment", "amount_sat", 2**63),
    "a height below zero": cell("revenue_payment", "height", -1),
    "half a number": cell("revenue_payment", "height", 1.5),
    "true as a number": cell("revenue_payment", "height", True),
    "nothing where something has to be": cell("revenue_payment", "amount_sat", None),
    "a word that is none of those": cell("revenue_payment", "kind", "miracle"),
    "a decimal that is none": cell("revenue_payment", "price_usd", "NaN"),
    "a decimal that is too large": cell("revenue_payment", "price_usd", "1e99"),
    "a decimal that is a list": cell("revenue_payment", "price_usd", [1]),
    "an instant of another form": cell("revenue_payment", "paid_at", "20261120T120000Z"),
    "an instant that is a number": cell("revenue_payment", "paid_at", 5),
    "a day of another form": cell("revenue_payment", "day", "2026-W47-5"),
    "a day that there is not": cell("revenue_payment", "day", "2026-02-30"),
    "bytes that are none": cell("metrics_memory", "data", "%%%"),
    "JSON that is none": cell("metrics_reading", "values", "{"),
    "JSON of another kind": cell("snapshots_snapshot", "counts", "[]"),
    "JSON that is no text": cell("metrics_reading", "values", {"a": 1}),
    "deep JSON": cell("metrics_reading", "values", "[" * 100_000 + "]" * 100_000),
    "a permission that is a list": cell("auth_group_permissions", "permission_id", [1]),
    "a key twice": same_key,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_somebody_made_up_is_refused_in_one_line(made, what):
    assert_refused(rewritten(made, HOSTILE[what]), "")


def packed(path: Path, *body: bytes) -> Path:
    """A file of these lines, its end fitting."""
    whole = b"".join(body)
    end = json.dumps({"end": True, "rows": 0, "sha256": hashlib.sha256(whole).hexdigest()}).encode() + b"\n"
    path.write_bytes(gzip.compress(whole + end))
    return path


@pytest.mark.parametrize(
    "line",
    [b"[" + b"[]," * (4 * MB) + b"[]]\n", b'["' + b"x" * (20 * MB) + b'"]\n', b"[" * 5_000 + b"]" * 5_000 + b"\n"],
)
def test_a_line_that_grows_in_memory_is_not_read(made, line):
    first = json.dumps(lines(made)[0]).encode() + b"\n"
    assert_refused(packed(made.with_name("bomb.gz"), first, b'{"table": "auth_permission"}\n', line), "damaged")
    assert_refused(packed(made.with_name("bomb.gz"), line), "is not a backup of Fluxtracker")


def test_a_pipe_is_not_waited_for(made, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert_refused(tmp_path / "pipe", "is not a file")
    assert "is there and is not a backup" in manage("backup", tmp_path / "pipe").reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["2026-11-20", "2026-11-20T12:00:00Z", "1.5", "{}", "[]"]),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(max_size=3), some, max_size=2),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), inside=st.floats(0, 1, exclude_max=True), value=JSON)
def test_any_value_anywhere_is_taken_as_it_is_or_refused(made, where, inside, value):
    def change(found: list[Any]) -> None:
        line = found[int(where * (len(found) - 1))]
        if isinstance(line, list):
            line[int(inside * len(line))] = value
        else:
            line[sorted(line)[int(inside * len(line))]] = value

    before = contents()
    try:
        path = rewritten(made, change)
    except UnicodeEncodeError:
        return
    done = manage("restore", path, "--yes")
    assert done.code in (0, 1), done
    assert "Traceback" not in done.err
    if done.code == 1:
        assert len(done.reason) < 1_000
        assert contents() == before
    else:
        contents()  # everything can still be read
        assert manage("restore", made, "--yes").code == 0
