"""Reads files while another connection writes: on a real database, also as a program of its own."""

from __future__ import annotations

import sys
import threading
from typing import Any

import django
from django.core.management import call_command
from django.db import connection
from django.test import Client


def main() -> None:
    from revenue import pages
    from tests.dashboard.rows import many, pay

    batch, pages.BATCH = pages.BATCH, 5
    client = Client(HTTP_HOST="localhost")
    try:
        many(20)
        for query in ({"sort": "timestamp"}, {"sender": "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"}):
            _is_one_moment(client, query)
        response = client.get("/export/payments.csv")
        chunks = iter(response.streaming_content)
        next(chunks), next(chunks)
        response.close()
        pay()  # begins a transaction of its own
    finally:
        pages.BATCH = batch


def _is_one_moment(client: Client, query: dict[str, str]) -> None:
    before = _lines(client, query)
    response = client.get("/export/payments.ndjson", query)
    chunks = iter(response.streaming_content)
    first = next(chunks)
    assert _in_thread(_pay_now) is None
    assert (first + b"".join(chunks)).count(b"\n") == before
    assert _lines(client, query) == before + 1


def _lines(client: Client, query: dict[str, str]) -> int:
    return b"".join(client.get("/export/payments.ndjson", query).streaming_content).count(b"\n")


def _pay_now() -> None:
    from tests.dashboard.rows import pay

    try:
        pay()
    finally:
        connection.close()


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
    thread.join(25)
    assert not thread.is_alive()
    return failed[0] if failed else None


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    main()
    sys.stdout.write("in order\n")
