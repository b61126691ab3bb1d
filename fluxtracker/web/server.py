"""Serve the site with granian: `python -m fluxtracker.web.server`."""

from __future__ import annotations

import gc
import os
import resource
import socket
import sys
from importlib import import_module
from tempfile import TemporaryDirectory

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from fluxtracker.api.throttling import WEB_FOLDER

BACKLOG = 1_024  # connections waiting to be accepted
MOST_CONNECTIONS = 8_192  # per process, including silent ones
PATIENCE_MS = 30_000  # for a reader that takes nothing
HEAD_MS = 10_000  # for the head of a request, and between two requests of a connection
GRACE_S = 5  # for running requests when it stops
HEAD_BYTES = 2**16
UNSENT_BYTES = 2**16  # waiting in the kernel: few, so that a reader's progress is seen early
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  no disk to fill
WRONG_SETTINGS = 4  # exit code
LOGGING = {"loggers": {"_granian": {"level": "WARNING"}}, "handlers": {}, "formatters": {}}  # the root logger's handler


class Server(MPServer):
    """Granian with one listening socket for all processes, which drops readers that take nothing."""

    def _init_shared_socket(self) -> None:
        family = socket.AF_INET6 if ":" in self.bind_addr else socket.AF_INET
        listener = socket.create_server((self.bind_addr, self.bind_port), family=family, backlog=BACKLOG)
        listener.set_inheritable(True)
        for option, value in (("TCP_USER_TIMEOUT", PATIENCE_MS), ("TCP_NOTSENT_LOWAT", UNSENT_BYTES)):
            if hasattr(socket, option):  # on Linux, where connections inherit them
                listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        number = listener.fileno()
        vars(self).update(_ssp=None, _sso=listener, _sfd=number, _shd=SocketHolder(number, False, BACKLOG))  # type: ignore[call-arg]


def server() -> Server:
    return Server(
        "fluxtracker.asgi:application",
        address=settings.HOST,
        port=settings.PORT,
        interface=Interfaces.ASGI,
        workers=settings.WEB_PROCESSES,
        loop=Loops.asyncio,  # uvloop keeps a refused request until garbage collection
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=MOST_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_MS, max_buffer_size=HEAD_BYTES),
        log_level=LogLevels.warning,
        log_dictconfig=LOGGING,
        respawn_failed_workers=True,
        workers_kill_timeout=GRACE_S,
    )


def allow_files() -> None:
    """Allow each process that many connections, as many systems default to 1,024 open files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = MOST_CONNECTIONS + 1_024
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed if most == resource.RLIM_INFINITY else min(needed, most), most))


def collect_less_garbage() -> None:
    """Freeze existing objects, and collect only after many new ones, as one answer may have thousands."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


def main() -> int:
    try:
        allow_files()
        with TemporaryDirectory(prefix="fluxtracker-web-", dir=MEMORY) as folder:
            os.environ |= {WEB_FOLDER: folder, "PROMETHEUS_MULTIPROC_DIR": folder}
            for name in ("fluxtracker.asgi", settings.ROOT_URLCONF):  # once, as the processes share its memory
                import_module(name)
            collect_less_garbage()
            server().serve()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG_SETTINGS
    return 0


if __name__ == "__main__":
    sys.exit(main())
