import os

import pytest
from django_celery_beat.models import PeriodicTask

from fluxtracker import demo
from fluxtracker.demo import BEGINNING, LONGEST_DEMO


def test_the_demo_keeps_its_data_apart_and_asks_nobody_outside(tmp_path):
    settings = demo.environment(tmp_path)
    assert settings["FLUXTRACKER_DATA_DIR"] == str(tmp_path / "demo")
    assert settings["DATABASE_URL"] == settings["REDIS_URL"] == settings["ALERT_WEBHOOK_URL"] == ""
    urls = [value for name, value in settings.items() if name.endswith(("_URL", "_URLS")) and value]
    assert len(urls) >= 7
    assert all(url.startswith("http://127.0.0.1:") for url in urls)


@pytest.mark.parametrize(("age", "stays"), [(60.0, True), (LONGEST_DEMO + 60, False)])
def test_a_demo_of_today_goes_on_and_an_old_one_begins_anew(tmp_path, age, stays):
    for name in (BEGINNING, "fluxtracker.sqlite3", "fluxtracker.sqlite3-wal", "secret_key"):
        (tmp_path / name).write_text("")
    (tmp_path / "broker").mkdir()
    began = os.stat(tmp_path / BEGINNING).st_mtime
    demo.forget_when_old(tmp_path, began + age)
    left = {path.name for path in tmp_path.iterdir()}
    assert "secret_key" in left
    assert ("fluxtracker.sqlite3" in left, "broker" in left, BEGINNING in left) == (stays, stays, stays)


@pytest.mark.django_db
def test_the_demo_syncs_every_ten_seconds():
    demo.hasten()
    row = PeriodicTask.objects.get(name="sync-revenue")
    assert (row.interval.every, row.interval.period) == (10, "seconds")
    assert row.expire_seconds <= 10
