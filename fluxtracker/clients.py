"""How long the web process waits for a client. Gunicorn's threads would wait for ever.

A reader may be as slow as it likes while it goes on taking; one that takes nothing for PATIENCE seconds is cut
off. A request has to arrive, with its body, within PATIENCE seconds.
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from gunicorn.workers.gthread import TConn, ThreadWorker

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PATIENCE = 30.0  # seconds
PARTING = 2.0  # seconds for the last answer to arrive before the connection is closed
UNSENT = 64 * 1024  # bytes that wait in the kernel: few, so that what a slow reader takes is seen soon
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: forget what is unsent, tell the other side that it is not all


class Client(socket.socket):
    """A connection that is given up when the other side stands still. Timeouts that others set stay theirs."""

    _deadline = 0.0

    def expect(self, seconds: float) -> None:
        """What is read from now on has to be there within so many seconds."""
        self._deadline = time.monotonic() + seconds

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Nothing when it is late, as from a client that has gone."""
        if self.gettimeout() is not None:
            return super().recv(size, flags)
        try:
            self.settimeout(max(self._deadline - time.monotonic(), 0.001))
            return super().recv(size, flags)
        except TimeoutError:
            return b""
        finally:
            self.settimeout(None)

    def sendall(self, data: ReadableBuffer, flags: int = 0, /) -> None:
        """BrokenPipeError, which gunicorn takes for an ordinary end, when nothing is taken for too long."""
        if self.gettimeout() is not None:
            return super().sendall(data, flags)
        rest = memoryview(data)
        try:
            self.settimeout(PATIENCE)
            while rest:
                rest = rest[self.send(rest, flags) :]
        except TimeoutError:
            self._cut_off()
            raise BrokenPipeError(errno.EPIPE, "the reader takes nothing") from None
        finally:
            self.settimeout(None)

    def part(self) -> None:
        """Say that no more comes and let the other side take what is under way, for a moment."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_WR)
            self.expect(PARTING)
            while self.recv(65536) and time.monotonic() < self._deadline:
                pass
            self.shutdown(socket.SHUT_RD)

    def _cut_off(self) -> None:
        with suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.shutdown(socket.SHUT_RDWR)


def client_of(connection: socket.socket) -> Client:
    """The same connection, watched."""
    client = Client(fileno=connection.detach())
    with suppress(OSError, AttributeError):  # a system without it sees slow readers' progress in larger steps
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return client


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's worker with threads, whose connections are watched."""

    def handle(self, conn: TConn) -> Any:
        """In one of the threads: a request. Parting, too, is done here: gunicorn's main thread would wait for it."""
        if not isinstance(conn.sock, Client):
            conn.sock = client_of(conn.sock)
        conn.sock.expect(PATIENCE)
        again = super().handle(conn)
        if again is False:
            conn.sock.part()
        return again
