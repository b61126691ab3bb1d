"""GET /export/payments.csv, /export/payments.ndjson, /export/apps.csv."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.signals import request_finished
from django.db import OperationalError, close_old_connections, connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.exports import base
from fluxtracker.api.throttling import Counters, Places
from revenue.payments import pagination
from tests.dashboard import export_moment
from tests.dashboard.payments_rows import ledger
from tests.dashboard.rows import FLUX, many, pay, synced
from tests.dashboard.test_detail_pages import prune
from tests.settings_names import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.engine, pytest.mark.usefixtures("clock")]

FILES = ["payments.csv", "payments.ndjson", "apps.csv"]


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    """Every test is a process of its own as far as running downloads go."""
    made = Places("", base.MOST_AT_ONCE, 60, Counters())
    monkeypatch.setattr(base, "places", made)
    return made


def close(response: Any) -> None:
    """As a server does, but for the connection: the test's transaction is on it."""
    request_finished.disconnect(close_old_connections)
    response.close()
    request_finished.connect(close_old_connections)


def body(response: Any) -> bytes:
    """All of a streamed answer; it is closed after that, as a server does."""
    content = b"".join(response.streaming_content)
    close(response)
    return content


def rows(client: Client, path: str, **query: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body(client.get(f"/export/{path}", query)).decode(), newline="")))


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({}, "2026-10-13-to-2026-11-18"),
        ({"from": "2026-11-02"}, "2026-11-02-to-2026-11-18"),
        ({"from": "2026-11-02", "to": "2026-11-05"}, "2026-11-02-to-2026-11-05"),
        ({"to": "2027-01-01"}, "2026-10-13-to-2026-11-18"),
    ],
)
def test_the_file_is_named_after_its_days(client: Client, query: dict[str, str], days: str) -> None:
    ledger()
    response = client.get("/export/payments.csv", query)
    close(response)
    assert response["Content-Disposition"] == f'attachment; filename="fluxtracker-payments-{days}.csv"'


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("payments.csv", "2026-10-20"),
        ("payments.csv?from=2026-01-01", "2026-10-20"),
        ("payments.ndjson?range=2026", "2026-10-20"),
        ("payments.csv?to=2026-09-30", "2026-09-30"),
        ("apps.csv", "2026-10-20"),
        ("apps.csv?from=2026-01-01", "2026-01-01"),
        ("owners.csv", "2026-07-01"),
        ("payers.csv", "2026-07-01"),
    ],
)
def test_the_name_of_a_file_tells_of_no_days_that_are_pruned(
    client: Client, settings: Any, path: str, first: str
) -> None:
    """Sums by owner and sender have all days; single payments, and the sums of apps, those that are kept."""
    synced()
    pay(at=datetime(2026, 7, 1, 12, tzinfo=UTC), app="web1")
    pay(at=datetime(2026, 10, 20, 12, tzinfo=UTC), app="web1")
    prune(settings)
    response: Any = client.get(f"/export/{path}")
    close(response)
    assert f"-{first}-to-" in response["Content-Disposition"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("payments.csv", "text/csv; charset=utf-8; header=present"),
        ("payments.ndjson", "application/x-ndjson"),
        ("apps.csv", "text/csv; charset=utf-8; header=present"),
    ],
)
@pytest.mark.parametrize("accept", ["text/html", "text/csv", "*/*"])
def test_the_address_says_what_comes(client: Client, path: str, kind: str, accept: str) -> None:
    response = client.get(f"/export/{path}", headers={"accept": accept})
    assert (response.status_code, response["Content-Type"]) == (200, kind)
    close(response)


def test_an_empty_ledger_is_a_header_and_no_rows(client: Client) -> None:
    assert rows(client, "payments.csv")[0][:3] == ["time", "date", "txid"]
    assert len(rows(client, "payments.csv")) == len(rows(client, "apps.csv")) == 1
    assert body(client.get("/export/payments.ndjson")) == b""


def test_a_page_and_a_limit_do_not_cut_the_file(client: Client) -> None:
    many(60)
    assert len(rows(client, "payments.csv", page=2, limit=25)) == 61
    assert len(rows(client, "payments.csv", page="x", limit="y")) == 61


def test_a_field_that_was_left_empty_is_no_filter(client: Client) -> None:
    many(3)
    assert len(rows(client, "payments.csv", **{"from": "", "type": "", "min_amount": ""})) == 4


@pytest.mark.parametrize("path", ["payments.csv", "payments.ndjson"])
def test_a_wrong_filter_is_refused_in_words(client: Client, path: str) -> None:
    response = client.get(f"/export/{path}", {"from": "yesterday", "min_amount": "lots", "type": "cloud"})
    assert response.status_code == 400
    assert response.json()["fields"] == {
        "from": "expected a day as YYYY-MM-DD",
        "min_amount": "expected an amount of FLUX such as 25.93, with at most 8 decimals",
        "type": "expected one of git, docker, unknown",
    }


@pytest.mark.parametrize(
    "name", ["payments.csv", "payments.ndjson", "apps.csv", "owners.csv", "payers.csv", "chart.csv"]
)
def test_a_filter_with_a_wrong_name_is_refused(client: Client, name: str) -> None:
    response = client.get(f"/export/{name}", {"form": "2026-01-01"})
    assert (response.status_code, list(response.json()["fields"])) == (400, ["form"])


def test_an_unknown_order_of_apps_is_refused(client: Client) -> None:
    response = client.get("/export/apps.csv", {"sort": "colour"})
    assert (response.status_code, "sort: expected one of -app" in response.json()["error"]) == (400, True)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＠"])
def test_strangers_words_cannot_be_a_formula(client: Client, begin: str) -> None:
    pay(app=f'{begin}HYPERLINK("https://evil.example";"x")')
    cell = rows(client, "payments.csv")[1][4]
    assert cell == f"'{begin}" + 'HYPERLINK("https://evil.example";"x")'
    assert rows(client, "apps.csv")[1][0] == cell


@pytest.mark.parametrize("name", ["plain", 'quo"te', "com,ma", "two\nlines", "ñandú 漢字"])
def test_other_words_come_back_as_they_are(client: Client, name: str) -> None:
    pay(app=name)
    assert rows(client, "payments.csv")[1][4] == name


def test_amounts_are_exact_and_unknown_is_empty(client: Client) -> None:
    pay(123_456_789_012_345_678, priced=False, from_address=None)
    head, row = rows(client, "payments.csv")
    said = dict(zip(head, row, strict=True))
    assert (said["amount"], said["amount_sat"]) == ("1234567890.12345678", "123456789012345678")
    assert said["amount_usd"] == said["price_usd"] == said["from_address"] == said["app_name"] == ""


def test_an_app_without_any_price_has_no_dollars(client: Client) -> None:
    pay(FLUX, app="one", priced=False)
    head, row = rows(client, "apps.csv")
    said = dict(zip(head, row, strict=True))
    assert (said["revenue_usd"], said["payments_without_price"], said["share_percent"]) == ("", "1", "100.0000")


@pytest.mark.parametrize("path", FILES)
def test_head_tells_the_same_without_reading_the_rows(client: Client, path: str) -> None:
    many(5)
    full = client.get(f"/export/{path}")
    close(full)
    with CaptureQueriesContext(connection) as queries:
        head = client.head(f"/export/{path}")
    assert head.status_code == 200
    assert b"".join(head) == b""
    for name in ("Content-Type", "Content-Disposition", "ETag"):
        assert head[name] == full[name]
    assert len(queries) <= 2


@pytest.mark.parametrize("path", FILES)
def test_a_file_that_did_not_change_is_not_sent_again(client: Client, path: str) -> None:
    synced()
    pay(app="one")
    first = client.get(f"/export/{path}")
    close(first)
    assert client.get(f"/export/{path}", headers={"if-none-match": first["ETag"]}).status_code == 304
    pay(app="one")
    changed = client.get(f"/export/{path}", headers={"if-none-match": first["ETag"]})
    close(changed)
    assert changed.status_code == 200


@pytest.mark.parametrize("path", FILES)
def test_it_is_compressed_on_its_way(client: Client, path: str) -> None:
    ledger()
    plain = body(client.get(f"/export/{path}"))
    packed = client.get(f"/export/{path}", headers={"accept-encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(body(packed)) == plain


def test_rows_are_read_as_they_are_sent(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 500 rows no more than one batch is in memory: the database is asked for more only when that is gone."""
    many(500)
    monkeypatch.setattr(pagination, "BATCH", 50)
    fetched: list[int] = []
    batches = pagination.every_row

    def counted(selection: Any) -> Any:
        for batch in batches(selection):
            fetched.append(len(batch))
            yield batch

    monkeypatch.setattr(pagination, "every_row", counted)
    response = client.get("/export/payments.ndjson")
    for number in range(1, 4):
        assert fetched == [50] * max(number - 1, 1)
        assert next(iter(response.streaming_content)).count(b"\n") == 50
    close(response)
    assert fetched == [50] * 3


def test_no_batch_costs_more_statements_than_another(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pagination, "BATCH", 10)
    counts = []
    for _ in range(3):
        many(50)
        with CaptureQueriesContext(connection) as asked:
            rows(client, "payments.csv")
        counts.append(len(asked))
    assert counts[2] - counts[1] == counts[1] - counts[0]


def test_at_most_three_run_at_once_and_a_closed_one_makes_room(client: Client, places: Places) -> None:
    many(3)
    running = [client.get("/export/payments.csv") for _ in range(3)]
    refused = client.get("/export/payments.csv")
    assert refused.status_code == 503
    assert refused["Retry-After"] == "60"
    assert "3 exports run at once" in refused.json()["error"]

    close(running.pop())  # though none of it was read
    again = client.get("/export/payments.csv")
    assert again.status_code == 200
    for response in [*running, again]:
        close(response)
        close(response)
    assert places.taken == 0


def test_one_client_leaves_room_for_another(client: Client, places: Places) -> None:
    many(3)
    running = [client.get("/export/payments.csv", REMOTE_ADDR="203.0.113.9") for _ in range(2)]
    refused = client.get("/export/payments.csv", REMOTE_ADDR="203.0.113.9")
    other = client.get("/export/payments.csv", REMOTE_ADDR="203.0.113.10")
    assert [one.status_code for one in (*running, refused, other)] == [200, 200, 503, 200]
    for response in (running.pop(), other):
        close(response)
    again = client.get("/export/payments.csv", REMOTE_ADDR="203.0.113.9")
    assert again.status_code == 200
    for response in (*running, again):
        close(response)
    assert places.taken == places.of_client("203.0.113.9", 2).taken == 0


EVERY = [*FILES, "chart.csv?metrics=payments&days=3"]


@pytest.mark.parametrize("name", EVERY)
def test_a_query_that_fails_at_any_time_gives_the_place_back(client: Client, places: Places, name: str) -> None:
    """Each query in turn is the first that fails: 503 until the answer has begun, then a last line that says so."""
    many(3)
    with CaptureQueriesContext(connection) as asked:
        whole = body(client.get(f"/export/{name}"))
    for number in range(len(asked)):
        with connection.execute_wrapper(failing_from(number)):
            response = client.get(f"/export/{name}")
            if response.status_code == 200:
                assert broken_off(response) != whole
            else:
                assert response.status_code == 503
        connection.needs_rollback = False
        assert places.taken == 0, number
    assert body(client.get(f"/export/{name}")) == whole


def failing_from(number: int) -> Any:
    """From this query on the database is away."""
    left = [number]

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        left[0] -= 1
        if left[0] < 0 and not sql.startswith(("ROLLBACK", "SAVEPOINT", "RELEASE")):
            raise OperationalError("terminating connection due to administrator command")
        return run(sql, params, many, context)

    return execute


def broken_off(response: Any) -> bytes:
    """What came before the connection broke."""
    chunks: list[bytes] = []
    with pytest.raises(BrokenPipeError):
        chunks.extend(response.streaming_content)
    close(response)
    assert b"INCOMPLETE: " in chunks[-1].splitlines()[-1]
    return b"".join(chunks)


@pytest.mark.parametrize("name", ["payments.csv", "payments.ndjson"])
def test_a_database_that_goes_in_the_middle_leaves_a_file_that_says_so(
    client: Client, places: Places, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(pagination, "BATCH", 5)
    many(20)
    response = client.get(f"/export/{name}")
    content = iter(response.streaming_content)
    next(content)
    with connection.execute_wrapper(failing_from(0)):
        assert b"INCOMPLETE: the database did not answer" in broken_off(response)
    assert places.taken == 0


@pytest.mark.parametrize("name", EVERY)
def test_a_download_has_an_end_however_slow_its_reader(
    client: Client, places: Places, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller, name: str
) -> None:
    monkeypatch.setattr(base, "LONGEST_S", -1.0)
    many(3)
    response = client.get(f"/export/{name}")
    assert response.status_code == 200
    last = broken_off(response).splitlines()[-1]
    assert json.loads(last)["error"] if name.endswith("json") else next(csv.reader([last.decode()]))[0]
    assert places.taken == 0


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize("name", EVERY)
def test_an_answer_that_somebody_drops_gives_the_place_back(
    client: Client, places: Places, monkeypatch: pytest.MonkeyPatch, name: str, method: str
) -> None:
    """A middleware that fails, or that answers something else, does not close what it was given."""
    many(3)

    def drop(self: Any, request: Any, response: Any) -> Any:
        return HttpResponse("something else")

    monkeypatch.setattr("django.middleware.clickjacking.XFrameOptionsMiddleware.process_response", drop)
    for _ in range(4):
        assert getattr(client, method)(f"/export/{name}").status_code == 200
        assert places.taken == 0


def test_a_place_that_is_never_given_back_is_free_after_its_time(
    monkeypatch: pytest.MonkeyPatch, places: Places
) -> None:
    now = [1_000.0]
    monkeypatch.setattr("fluxtracker.api.throttling.time.monotonic", lambda: now[0])
    held = [places.take() for _ in range(4)]
    assert [place is None for place in held] == [False, False, False, True]
    now[0] += 59
    assert places.take() is None
    now[0] += 2
    assert places.take() is not None
    places.give_back(held[0])
    assert places.taken == 1


@pytest.mark.parametrize("path", FILES)
def test_it_rejects_post(client: Client, path: str) -> None:
    assert client.post(f"/export/{path}").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_rows_that_stay_come_once_and_a_reader_holds_nothing(tmp_path: Path) -> None:
    """Others write, delete and change the schema while a file is read."""
    if connection.vendor == "postgresql":
        export_moment.main()
        return
    # Connections to the tests' SQLite database in memory wait for each other; those to a file do not.
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3", "FLUXTRACKER_DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.dashboard.export_moment"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | database, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "in order\n"), run.stderr
