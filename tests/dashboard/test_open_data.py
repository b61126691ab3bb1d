"""The files of completed months: what is in them, that they stay, and that nothing half done is ever published."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from django.core.management import call_command
from django.test import Client

from dashboard import jobs
from dashboard.open_data import publishing
from fluxtracker import files
from ops.jobs.runs import NotDone
from revenue.models import LedgerState, Payment
from snapshots.models import Snapshot
from tests.dashboard.reading import html
from tests.dashboard.rows import FLUX, pay, synced
from tests.dashboard.test_export import body

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]

OCTOBER = datetime(2026, 10, 5, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "files"


@pytest.fixture
def ledger() -> None:
    """Three payments of October, one of November, a snapshot."""
    synced()
    pay(5 * FLUX, at=OCTOBER, app="minecraft")
    pay(FLUX // 4, at=OCTOBER + timedelta(days=1), app='=cmd("x")', priced=False)
    pay(FLUX, at=OCTOBER + timedelta(days=26), from_address=None)
    pay(FLUX, at=datetime(2026, 11, 2, tzinfo=UTC))
    Snapshot.objects.create(day=OCTOBER.date(), source="taken", made_at=OCTOBER, node_total=9, counts={"b": 1, "a": 2})


def publish() -> dict[str, Any]:
    found: dict[str, Any] = jobs.publish_files(trigger="test")
    return found


def get(client: Client, name: str) -> bytes:
    return body(client.get(f"/data/files/2026-10/{name}"))


def table(client: Client, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(get(client, name).decode(), newline="")))


@pytest.mark.usefixtures("ledger")
def test_a_completed_month_is_written_in_both_formats(client: Client, data_dir: Path) -> None:
    assert publish() == {"months": 1, "written": 1, "note": None}
    payments, days, snapshots = (table(client, f"{name}.csv") for name in ("payments", "daily", "snapshots"))
    assert [(row["amount"], row["amount_sat"], row["app_name"]) for row in payments] == [
        ("5.00000000", "500000000", "minecraft"),
        ("0.25000000", "25000000", '\'=cmd("x")'),
        ("1.00000000", "100000000", ""),
    ]
    assert [row["amount_usd"] for row in payments] == ["0.372000", "", "0.074400"]
    assert len(days) == 31
    assert [(day["date"], day["revenue"], day["payments"]) for day in days[4:7]] == [
        ("2026-10-05", "5.00000000", "1"), ("2026-10-06", "0.25000000", "1"), ("2026-10-07", "0.00000000", "0"),
    ]  # fmt: skip
    assert [(row["node_total"], row["total_apps"], row["counts"]) for row in snapshots] == [("9", "", '{"a":2,"b":1}')]
    columns = "sum(amount_sat), sum(amount), count(amount_usd), min(time), max(date), count(from_address)"
    (path,) = data_dir.glob("2026-10-*/payments.parquet")
    with duckdb.connect() as database:
        ((sat, flux, priced, first, last, senders),) = database.execute(f"SELECT {columns} FROM '{path}'").fetchall()
        kinds = dict(row[:2] for row in database.execute(f"DESCRIBE FROM '{path}'").fetchall())
    assert (sat, str(flux), priced, senders) == (625_000_000, "6.25000000", 2, 2)
    assert (first, str(last)) == (OCTOBER.replace(tzinfo=None), "2026-10-31")
    assert (kinds["amount"], kinds["price_usd"]) == ("DECIMAL(18,8)", "DECIMAL(20,10)")


@pytest.mark.usefixtures("ledger")
def test_checksums_and_the_dictionary_are_true(client: Client) -> None:
    publish()
    sums = dict(line.split("  ")[::-1] for line in get(client, "SHA256SUMS").decode().splitlines())
    assert sorted(sums) == [
        f"{name}.{form}" for name in ("daily", "payments", "snapshots") for form in ("csv", "parquet")
    ]
    assert {name: hashlib.sha256(get(client, name)).hexdigest() for name in sums} == sums
    found = json.loads(get(client, "datapackage.json"))
    assert [licence["name"] for licence in found["licenses"]] == ["CC0-1.0"]
    assert {each["path"]: each["hash"] for each in found["resources"]} == {
        name: f"sha256:{value}" for name, value in sums.items()
    }
    for each in found["resources"]:
        if each["format"] == "csv":
            names = get(client, each["path"]).decode().splitlines()[0].split(",")
            assert [field["name"] for field in each["schema"]["fields"]] == names
            assert all(field["description"] for field in each["schema"]["fields"])


@pytest.mark.usefixtures("ledger")
def test_files_stay_until_the_ledger_of_their_month_changes(client: Client, data_dir: Path) -> None:
    publish()
    (first,) = data_dir.glob("2026-10-*")
    pay(7 * FLUX, at=datetime(2026, 11, 3, tzinfo=UTC))
    assert publish()["written"] == 0
    assert list(data_dir.glob("2026-10-*")) == [first]
    pay(7 * FLUX, at=OCTOBER)
    assert publish()["written"] == 1
    assert len(table(client, "payments.csv")) == 4
    assert publish()["written"] == 0
    assert first not in list(data_dir.glob("2026-10-*"))


@pytest.mark.usefixtures("ledger")
def test_pruned_payments_stay_as_they_were_published(client: Client) -> None:
    publish()
    before = get(client, "payments.parquet")
    Payment.objects.filter(day__lt="2026-11-01").delete()
    LedgerState.objects.update(closed_through="2026-10-31")
    assert publish()["written"] == 0
    Snapshot.objects.create(day="2026-10-06", source="backfilled", made_at=OCTOBER)
    assert publish()["written"] == 1
    assert (get(client, "payments.parquet"), len(table(client, "snapshots.csv"))) == (before, 2)


@pytest.mark.usefixtures("ledger")
def test_payments_that_were_pruned_before_are_left_out(client: Client) -> None:
    LedgerState.objects.update(closed_through="2026-10-31")
    publish()
    (month,) = client.get("/data/files/").json()["months"]
    assert [file["name"] for file in month["files"]] == [
        "daily.csv", "snapshots.csv", "daily.parquet", "snapshots.parquet", "SHA256SUMS", "datapackage.json",
    ]  # fmt: skip
    assert client.get("/data/files/2026-10/payments.csv").status_code == 404


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize("where", ["write", "sync", "replace"])
def test_a_run_that_is_killed_leaves_nothing_half_done(
    client: Client, data_dir: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class Killed(BaseException):
        """As a signal: nothing clears up after it."""

    def kill(*words: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(files, where, kill)
        patched.setattr(publishing.shutil, "rmtree", lambda *words, **more: None)
        with pytest.raises(Killed):
            publish()
        assert client.get("/data/files/").json()["months"] == []
    assert len(list(data_dir.iterdir())) == 1
    assert publish()["written"] == 1
    assert sorted(path.name[:8] for path in data_dir.iterdir()) == ["2026-10-", "index.js"]
    assert len(table(client, "payments.csv")) == 3


@pytest.mark.usefixtures("ledger")
def test_without_duckdb_the_files_are_csv_and_parquet_comes_with_it(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(publishing, "has_parquet", lambda: False)
        assert publish()["note"] == jobs.NO_PARQUET
        assert client.get("/data/files/2026-10/daily.parquet").status_code == 404
        assert len(table(client, "daily.csv")) == 31
        assert publish()["written"] == 0
    assert publish() == {"months": 1, "written": 1, "note": None}
    assert get(client, "daily.parquet")[:4] == b"PAR1"


@pytest.mark.usefixtures("ledger")
def test_a_disk_that_takes_nothing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(NotDone, match="cannot write the files: No space left on device"):
        publish()
    assert publishing.published() == {}


@pytest.mark.usefixtures("ledger")
def test_readers_keep_files_and_ask_whether_they_hold(client: Client) -> None:
    assert client.get("/data/files/").json() == {"licence": "CC0-1.0", "months": []}
    assert "No month is complete yet." in html(client, "/data/")
    call_command("publish_files", "--json", stdout=io.StringIO())
    (month,) = client.get("/data/files/").json()["months"]
    assert (month["month"], month["madeAt"], len(month["files"])) == ("2026-10", "2026-11-18T14:05:00Z", 8)
    file = next(file for file in month["files"] if file["name"] == "payments.csv")
    assert f'<a\n          href="{file["url"]}">payments.csv</a>' in html(client, "/data/")
    head = client.head(file["url"])
    assert (head["Content-Length"], head["Content-Type"]) == (str(file["bytes"]), "text/csv")
    assert head["Cache-Control"] == "public, max-age=3600"
    assert head["ETag"] == f'"{file["sha256"]}"'
    assert client.get(file["url"], headers={"If-None-Match": head["ETag"]}).status_code == 304
    assert client.post(file["url"]).status_code == 405
    for name in ("nothing.csv", "index.json", "..%2Findex.json", ".%2e/index.json"):
        assert client.get(f"/data/files/2026-10/{name}").status_code == 404


def test_no_month_before_its_last_payment_is_in(client: Client) -> None:
    synced(datetime(2026, 10, 31, 23, tzinfo=UTC))
    pay(FLUX, at=OCTOBER)
    assert publish()["months"] == 0
