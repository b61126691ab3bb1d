"""A collection and a snapshot that want the rows of the sources at the same time. SQLite has one lock for all."""

from __future__ import annotations

from threading import Thread

import pytest
from django.db import connection, transaction

from metrics.models import Source
from metrics.sources import Sources
from tests.metrics.conftest import NOW
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine, pytest.mark.postgresql]

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


def somebody_waits_for_us() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        return bool(cursor.fetchone()[0])


def test_both_take_the_rows_in_order_of_their_names():
    Sources.load(NOW).save()
    failures: list[Exception] = []

    def save() -> None:
        try:
            Sources.load(NOW).save()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    names = sorted(Source.Name.values)
    with transaction.atomic():
        Source.objects.select_for_update().get(name=names[0])  # as a snapshot does, one after the other
        other = Thread(target=save)
        other.start()
        assert eventually(somebody_waits_for_us)
        free = Source.objects.select_for_update(nowait=True).filter(name__in=names[1:])
        assert len(free) == len(names) - 1
    other.join()
    assert not failures
