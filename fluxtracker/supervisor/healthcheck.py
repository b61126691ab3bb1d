"""Check the program of this container for docker-compose.yml: exit code 0 if alive, else 1."""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta

from fluxtracker.supervisor.processes import responds

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")

BEAT_SILENCE = timedelta(minutes=15)  # three times the interval of the most frequent entries


def web() -> bool:
    """Return whether pages are served and the database answers, with the headers of the proxy in front."""
    from django.conf import settings

    host = next((name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))), "localhost")
    headers = {"Host": host, "X-Forwarded-Proto": "https"}
    return responds("127.0.0.1", settings.PORT, "/api/health/ready", headers)


def worker() -> bool:
    """Return whether this container's worker takes commands from the broker."""
    from fluxtracker.celery import app

    return bool(app.control.ping(destination=[f"celery@{socket.gethostname()}"], timeout=5))


def beat() -> bool:
    """Return whether the scheduler has sent a task recently."""
    import django

    django.setup()
    from django.utils import timezone
    from django_celery_beat.models import PeriodicTask

    since = timezone.now() - BEAT_SILENCE
    entries = PeriodicTask.objects.filter(enabled=True)
    return not entries.exists() or entries.filter(last_run_at__gte=since).exists()


PROBES = {"web": web, "worker": worker, "beat": beat}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in PROBES:
        sys.stderr.write(f"usage: python -m fluxtracker.supervisor.healthcheck {'|'.join(PROBES)}\n")
        return 2
    return 0 if PROBES[arguments[0]]() else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
