"""Limit how long a gunicorn worker waits for a client.

A request waits without a thread until it has arrived, with its body up to HELD, for at most PATIENCE seconds. When
more than MOST_WAITING wait, the oldest is dropped. A reader that takes nothing for PATIENCE seconds is cut off.
"""

from __future__ import annotations

import errno
import re
import selectors
import socket
import struct
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings
from gunicorn.workers.gthread import TConn, ThreadWorker

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PATIENCE = 30.0  # seconds
PARTING = 2.0  # seconds for the last response to arrive before the connection is closed
UNSENT = 64 * 1024  # bytes that wait in the kernel: few, so that the progress of a slow reader is seen soon
HELD = settings.MOST_FORM_BYTES + 2**14  # bytes kept of an incomplete request: a form and its head
MOST_WAITING = 300  # connections without a whole request
MOST_KEPT = 200  # connections that are kept open after a response
MOST_PARTING = 50  # connections whose last response is being sent
BLINK = 0.05  # seconds to discard the rest of a body that has arrived
HEAD_END = re.compile(rb"\r?\n\r?\n")
LENGTH = re.compile(rb"\ncontent-length:[ \t]*([0-9]{1,15})", re.IGNORECASE)
EXPECTS = re.compile(rb"\nexpect:", re.IGNORECASE)  # sends its body when it is asked to
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: discard what is unsent and reset the connection


class Client(socket.socket):
    """A connection that ends when the other side stops. It does not touch timeouts that others set."""

    _deadline = 0.0
    _held = b""  # arrived and not read yet
    _searched = 0  # bytes of it without the end of the head
    _needed = 0  # bytes of the whole request, 0 until its head has arrived
    _is_over = False

    def hold(self, data: bytes) -> None:
        """Put back what was read already."""
        self._held, self._searched, self._needed = data + self._held, 0, 0

    @property
    def is_holding(self) -> bool:
        return bool(self._held)

    def collect(self) -> bool:
        """Read what has arrived, without waiting. Return whether a thread can take over."""
        try:
            while not self._is_whole():
                some = super().recv(HELD - len(self._held), socket.MSG_DONTWAIT)
                if not some:
                    return True
                self._held += some
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _is_whole(self) -> bool:
        if not self._needed and (head := HEAD_END.search(self._held, max(self._searched - 3, 0))):
            self._needed = self._length(head.end())
        self._searched = len(self._held)
        self._is_over = not self._needed and self._searched >= HELD  # a head of that length is invalid
        return self._is_over or (bool(self._needed) and self._searched >= self._needed)

    def _length(self, head: int) -> int:
        """Return the bytes of the request to wait for, without a body that is too large."""
        found = LENGTH.search(self._held, 0, head)
        size = int(found[1]) if found else 0
        if size > settings.MOST_FORM_BYTES:
            return head
        if size and EXPECTS.search(self._held, 0, head):
            with suppress(OSError):
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)
        return head + size

    def expect(self, seconds: float) -> None:
        """Let reads from now on wait so many seconds in total."""
        self._deadline = time.monotonic() + seconds

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Return nothing when it is late, as for a client that has gone."""
        if self._held:
            found = self._held[:size]
            self._held, self._searched, self._needed = self._held[size:], 0, 0
            return found
        if self._is_over:
            return b""
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
        """Raise BrokenPipeError, a normal end for gunicorn, when the reader takes nothing for too long."""
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

    def _cut_off(self) -> None:
        with suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.shutdown(socket.SHUT_RDWR)


def client_of(connection: socket.socket) -> Client:
    """Return the same connection as a Client."""
    client = Client(fileno=connection.detach())
    with suppress(OSError, AttributeError):  # without it, the progress of slow readers is seen in larger steps
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    return client


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Gunicorn's worker with threads. A connection gets a thread only when a request has arrived."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_keepalived = MOST_KEPT
        self._parting: deque[TConn] = deque()

    def enqueue_req(self, conn: TConn) -> None:
        """Take a connection that is new, or whose last request was answered."""
        if not isinstance(conn.sock, Client):
            conn.sock = client_of(conn.sock)
        if conn.parser is not None:
            conn.sock.hold(conn.parser.unreader.take_buffered())
        if conn.sock.collect():
            self._serve(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + PATIENCE
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))
        if len(self.pending_conns) > MOST_WAITING:
            self.pending_conns[0].timeout = 0
            self.murder_pending()

    def on_pending_socket_readable(self, conn: TConn, client: Client) -> None:
        if client.collect():
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._serve(conn)

    def _serve(self, conn: TConn) -> None:
        conn.data_ready = True
        super().enqueue_req(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """Stop waiting for requests when the worker stops."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def handle(self, conn: TConn) -> Any:
        """Handle a request, in one of the threads."""
        conn.sock.expect(PATIENCE)
        return super().handle(conn)

    def _keepalive_after(self, conn: TConn, keepalive: Any) -> bool:
        """Return whether the connection stays open: not when a body was refused or not read."""
        return bool(keepalive) and bool(conn.parser.finish_body(deadline=time.monotonic() + BLINK))

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """Let the client take the last response before the connection closes, without a thread."""
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result and conn.sock.is_holding:  # a pipelined request does not make the socket readable
            self.enqueue_req(conn)
            return
        if result is None or result:
            super().finish_request(conn, fs)
            return
        conn.timeout = time.monotonic() + PARTING
        self._parting.append(conn)
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except (OSError, ValueError):  # it has gone
            self._part(conn)
        if len(self._parting) > MOST_PARTING:
            self._part(self._parting[0])

    def murder_pending(self) -> None:
        super().murder_pending()
        while self._parting and self._parting[0].timeout <= time.monotonic():
            self._part(self._parting[0])

    def _discard(self, conn: TConn, client: Client) -> None:
        try:
            if client.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._part(conn)

    def _part(self, conn: TConn) -> None:
        self._parting.remove(conn)
        with suppress(OSError, KeyError, ValueError):
            self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()
