"""GET /api/carousel/...: the last good list with its age."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from carousel.models import Feed
from tests.admin.conftest import olivia

__all__ = ["olivia"]

pytestmark = pytest.mark.django_db

PATHS = ["stats", "deployed", "expiring"]
NOW = timezone.now().replace(second=0, microsecond=0)
ITEM = {"type": "benchmark", "rank": 1, "key": "cores", "label": "Most CPU cores", "name": "Stratus node",
        "value": 64.0, "unit": "cores", "asOf": NOW.isoformat()}  # fmt: skip


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def read(clock):
    return Feed.objects.create(name="network", items=[ITEM], read_at=NOW, tried_at=NOW, coverage={"rows": 3})


@pytest.mark.parametrize("path", PATHS)
def test_before_the_first_refresh_it_is_empty_and_says_so(get, path):
    answer = get(f"carousel/{path}")
    assert (answer["stats"], answer["cached"], answer["cacheAge"], answer["fresh"]) == ([], False, None, False)


@pytest.mark.parametrize(("minutes", "fresh"), [(0, True), (60, True), (61, False), (60 * 24 * 9, False)])
def test_a_list_is_served_as_long_as_needed_with_its_age(get, clock, read, minutes, fresh):
    clock.shift(timedelta(minutes=minutes))
    answer = get("carousel/stats")
    assert answer["stats"] == [ITEM]
    assert (answer["cached"], answer["cacheAge"], answer["fresh"]) == (True, minutes * 60, fresh)
    assert answer["timestamp"] == int((NOW + timedelta(minutes=minutes)).timestamp() * 1000)
    assert answer["coverage"] == {"rows": 3}


def test_what_did_not_change_is_304_for_one_query(client, read, django_assert_num_queries):
    response = client.get("/api/carousel/stats")
    assert "max-age=60" in response["Cache-Control"]
    with django_assert_num_queries(1):
        again = client.get("/api/carousel/stats", headers={"if-none-match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_new_list_and_a_new_minute_are_new_answers(client, clock, read):
    first = client.get("/api/carousel/stats")["ETag"]
    clock.shift(timedelta(minutes=1))
    second = client.get("/api/carousel/stats")["ETag"]
    Feed.objects.update(tried_at=NOW + timedelta(seconds=61), error="stats.example /fluxinfo: HTTP 500")
    third = client.get("/api/carousel/stats")["ETag"]
    assert len({first, second, third}) == 3


@pytest.mark.parametrize("path", PATHS)
def test_it_is_read_only(client, path):
    assert client.post(f"/api/carousel/{path}").status_code == 405


def test_the_admin_shows_the_lists_and_edits_none(olivia, read):
    assert "top images and best benchmarks" in olivia.get("/admin/carousel/feed/").content.decode()
    assert olivia.get("/admin/carousel/feed/network/change/").status_code == 200
    assert olivia.get("/admin/carousel/feed/add/").status_code == 403
