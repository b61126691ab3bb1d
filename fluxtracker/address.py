"""Where web listens: is it free, and does the page answer yet."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


class AddressTaken(Exception):
    """Web cannot listen there."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def visit(self) -> str:
        """The host to use from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  compared, not bound

    @property
    def url(self) -> str:
        host = f"[{self.visit}]" if ":" in self.visit else self.visit
        return f"http://{host}:{self.port}"

    def check_free(self) -> None:
        """Raise AddressTaken, with what to do, when a program listens there or we may not."""
        try:
            family, kind, _, _, where = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(where)
        except OSError as error:
            raise AddressTaken(
                f"cannot listen on {self.host} port {self.port} ({error.strerror}): choose another PORT or HOST"
            ) from None

    def answers(self) -> bool:
        """Whether the first page is served."""
        connection = http.client.HTTPConnection(self.visit, self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def announce_when_it_answers(address: Address, say: Callable[[str], None], every: float = 0.3) -> None:
    """Print the address once the page is there, without holding up anything else."""

    def look() -> None:
        while not address.answers():
            time.sleep(every)
        say(f"ready: {address.url}  (Ctrl-C ends everything)")

    threading.Thread(target=look, daemon=True).start()
