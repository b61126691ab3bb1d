"""A TLS server on this machine in place of a host on the internet, and a webhook that reaches it."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

from ops.alerts.webhook import Webhook

HOST, PATH = "hooks.example", "/services/T000/s3cret-path"
PUBLIC = "93.184.215.14"  # what the names mean; the connection is led to the server here

Answer = Callable[[BaseHTTPRequestHandler, int], None]


def answer(status: int, **headers: str) -> Answer:
    def give(handler: BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(status)
        for name, value in ({"Content-Length": "0"} | headers).items():
            handler.send_header(name, value)
        handler.end_headers()

    return give


def hang(handler: BaseHTTPRequestHandler, number: int) -> None:
    """Says nothing; the other side goes away."""
    time.sleep(60)


def hang_up(handler: BaseHTTPRequestHandler, number: int) -> None:
    """Takes the body, and ends the connection without an answer."""


def drip(handler: BaseHTTPRequestHandler, number: int) -> None:
    """A byte now and then: no silence is ever long."""
    for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 60:
        handler.wfile.write(bytes([letter]))
        handler.wfile.flush()
        time.sleep(0.05)


@dataclass
class Server:
    """Counts what it is asked; `answers` maps paths to what it does."""

    authority: trustme.CA
    names: dict[str, list[str]] = field(default_factory=lambda: {HOST: [PUBLIC]})
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    delivery_ids: list[str | None] = field(default_factory=list)
    connected: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    port: int = 0

    def resolve(self, host: str, port: int) -> list[str]:
        if host not in self.names:
            raise socket.gaierror(-2, "Name or service not known")
        return self.names[host]

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        self.connected.append(address[0])
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    @cached_property
    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def webhook(self, url: str = f"https://{HOST}{PATH}", **options: Any) -> Webhook:
        known = {"resolve": self.resolve, "connect": self.connect, "sleep": self.slept.append, "tls": self.tls}
        return Webhook(url, **(known | options))


@contextmanager
def serving() -> Iterator[Server]:
    authority = trustme.CA()
    server = Server(authority)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append((self.headers["Host"], self.path, body))
            server.delivery_ids.append(self.headers["X-Fluxtracker-Delivery"])
            server.answers.get(self.path.partition("?")[0], answer(200))(self, len(server.asked))

        def log_message(self, *args: Any) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listening.daemon_threads = True
    listening.block_on_close = False
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "other.example").configure_cert(context)
    listening.socket = context.wrap_socket(listening.socket, server_side=True, do_handshake_on_connect=False)
    listening.handle_error = lambda *_: None  # type: ignore[method-assign]
    server.port = listening.server_port
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
