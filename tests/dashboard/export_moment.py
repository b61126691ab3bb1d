"""Reads files while another connection writes: on a real database, also as a program of its own."""

from __future__ import annotations

import json
import secrets
import sys
import threading
from datetime import timedelta
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from django.test import Client

from tests.waiting import AMPLE


def main() -> None:
    from revenue.payments import pagination
    from tests.dashboard.rows import many, pay

    batch, pagination.BATCH, gather, pagination.GATHER = pagination.BATCH, 5, pagination.GATHER, 0
    client = Client(HTTP_HOST="localhost")
    try:
        many(20)
        for sort in ("timestamp", "-timestamp", "amount", "-amount", "block_height", "-block_height"):
            _rows_that_stay_come_once(client, {"sort": sort})
        pagination.GATHER = gather
        _rows_that_stay_come_once(client, {"sender": "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"})
        response = client.get("/export/payments.csv")
        chunks = iter(response.streaming_content)
        next(chunks), next(chunks)
        assert _in_thread(_change_the_schema) is None  # a reader that rests holds nothing
        assert b"".join(chunks).count(b"\n") == _stored() - 10
        response.close()
        pay()  # begins a transaction of its own
    finally:
        pagination.BATCH, pagination.GATHER = batch, gather


def _rows_that_stay_come_once(client: Client, query: dict[str, str]) -> None:
    """Among rows that are deleted and rows that are added."""
    from revenue.models import Payment

    gone = Payment.objects.order_by("paid_at", "id")[3]
    before = set(Payment.objects.exclude(pk=gone.pk).values_list("txid", flat=True))
    response = client.get("/export/payments.ndjson", query)
    chunks = iter(response.streaming_content)
    first = next(chunks)
    assert _in_thread(lambda: _write(gone)) is None
    found = [json.loads(line)["txid"] for line in (first + b"".join(chunks)).splitlines()]
    assert len(found) == len(set(found))
    assert before <= set(found)
    assert _lines(client, query) == _stored()


def _write(gone: Any) -> None:
    from tests.dashboard.rows import FLUX, NOW, pay

    try:
        gone.delete()
        for minutes in (-90, -9, 5):
            pay(FLUX + minutes, at=NOW + timedelta(minutes=minutes), txid=secrets.token_hex(32))
    finally:
        connection.close()


def _change_the_schema() -> None:
    """As a migration does: it must not have to wait for a reader."""
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET lock_timeout = '2s'")
            cursor.execute("ALTER TABLE revenue_payment ADD COLUMN passing integer NULL")
            cursor.execute("ALTER TABLE revenue_payment DROP COLUMN passing")
    finally:
        connection.close()


def _stored() -> int:
    from revenue.models import Payment

    return Payment.objects.count()


def _lines(client: Client, query: dict[str, str]) -> int:
    return b"".join(client.get("/export/payments.ndjson", query).streaming_content).count(b"\n")


def _in_thread(work: Any) -> BaseException | None:
    """What went wrong in it."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(AMPLE)
    assert not thread.is_alive()
    return failed[0] if failed else None


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    main()
    sys.stdout.write("in order\n")
