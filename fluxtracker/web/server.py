"""Configure gunicorn (`--config python:fluxtracker.web.server`)."""

import gc
import os
from importlib import import_module
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")

from django.conf import settings
from gunicorn import glogging

bind = [f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"]
worker_class = "fluxtracker.web.workers.Worker"
workers = 1
threads = 8
worker_connections = 600  # below the 1,024 files that a process may have open on many systems
preload_app = True  # the master and its workers share the memory of the imported code
timeout = 60  # seconds without a heartbeat of a worker
graceful_timeout = 5  # seconds for running requests when it stops
keepalive = 5  # seconds
forwarded_allow_ips = ""  # clients cannot choose scheme or script name: ForwardedScheme reads proxy headers
forwarder_headers = ""
header_map = "drop"  # names with an underscore, which look like names with a hyphen in WSGI
sendfile = False  # Python waits for its reader without a limit
max_requests = 0
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108  a heartbeat, no data
control_socket_disable = True
accesslog = None  # fluxtracker.web.middleware writes one line per request
errorlog = "-"
logger_class = "fluxtracker.web.server.Logger"
loglevel = "warning"


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    """Sends gunicorn's lines through our formatter, which masks secrets and escapes control characters."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


def pre_fork(server: Any, worker: Any) -> None:
    """Import every view and freeze it for the garbage collector, so that workers share the memory of the master."""
    import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
