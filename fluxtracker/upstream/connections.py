"""Connections that do not wait for ever: a socket's timeout starts anew with every byte that drips in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from threading import Event, Timer
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse


def _in_time(connection: HTTPConnection, read_head: Callable[[], HTTPResponse]) -> HTTPResponse:
    """The head of an answer, or TimeoutError when all of it took longer than the timeout."""
    sock, late = connection.sock, Event()

    def give_up() -> None:
        late.set()
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(float(connection.timeout or 60), give_up)
    timer.daemon = True
    timer.start()
    try:
        response = read_head()
    except (OSError, HTTPException):
        if not late.is_set():
            raise
    else:
        if not late.is_set():
            return response
    finally:
        timer.cancel()
    raise TimeoutError("the head of the answer came too slowly")


class PlainConnection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        return _in_time(self, super().getresponse)


class SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        return _in_time(self, super().getresponse)


class PlainPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class Adapter(HTTPAdapter):
    """Pools of such connections. Retries are the client's business."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
