"""Is this container's program alive? For the health checks of docker-compose.yml: exit code 0 or 1."""

from __future__ import annotations

import http.client
import os
import socket
import sys
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")

BEAT_SILENCE = timedelta(minutes=15)  # three times the interval of the most frequent entries


def web() -> bool:
    """Served and with a database, asked as the proxy in front would ask."""
    from django.conf import settings

    host = next((name for name in settings.ALLOWED_HOSTS if not name.startswith((".", "*"))), "localhost")
    connection = http.client.HTTPConnection("127.0.0.1", settings.PORT, timeout=5)
    try:
        connection.request("GET", "/api/health/ready", headers={"Host": host, "X-Forwarded-Proto": "https"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def worker() -> bool:
    """This container's worker takes commands from the broker."""
    from fluxtracker.celery import app

    return bool(app.control.ping(destination=[f"celery@{socket.gethostname()}"], timeout=5))


def beat() -> bool:
    """Return whether the scheduler has sent something lately."""
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
