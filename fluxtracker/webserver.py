"""What gunicorn reads at its start (`--config python:fluxtracker.webserver`)."""

import gc
import os
from importlib import import_module
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")

from django.conf import settings

bind = [f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"]
worker_class = "fluxtracker.clients.Worker"
workers = 1
threads = 8
preload_app = True  # the master and its workers share the memory of the imported code
timeout = 60  # seconds without a sign of life of a worker
graceful_timeout = 5  # seconds for requests that are under way when it stops
keepalive = 5  # seconds
sendfile = False  # Python waits without an end for a reader of it
max_requests = 0
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  a heartbeat, no data
control_socket_disable = True
accesslog = None  # fluxtracker.middleware writes one line a request
errorlog = "-"
loglevel = "warning"


def pre_fork(server: Any, worker: Any) -> None:
    """Import every view and let the collector never touch them again: the worker shares the master's memory."""
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
