from datetime import timedelta

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from fluxtracker.supervisor import healthcheck
from fluxtracker.supervisor.demo import free_port


@pytest.mark.django_db
def test_beat_is_alive_when_it_sent_something_lately():
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=1))
    assert not healthcheck.beat()
    PeriodicTask.objects.filter(name="sync-revenue").update(last_run_at=timezone.now())
    assert healthcheck.beat()


@pytest.mark.django_db
def test_beat_with_nothing_to_send_is_alive():
    PeriodicTask.objects.update(enabled=False)
    assert healthcheck.beat()


def test_web_is_asked_under_a_name_it_accepts(live_server, settings):
    settings.PORT = live_server.thread.port
    settings.ALLOWED_HOSTS = [".example.org", "*", "flux.example.org"]
    assert healthcheck.web()


def test_web_that_does_not_listen_is_not_alive(settings):
    settings.PORT = free_port()
    assert not healthcheck.web()


@pytest.mark.parametrize("arguments", [[], ["database"], ["web", "worker"]])
def test_wrong_usage_is_told(arguments, capsys):
    assert healthcheck.main(arguments) == 2
    assert "web|worker|beat" in capsys.readouterr().err
