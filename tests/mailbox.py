"""A mail server on 127.0.0.1 that keeps what it is given, and falls silent where a test wants it."""

from __future__ import annotations

import socket
import threading
from email import message_from_string
from email.policy import default
from typing import Literal, TextIO

Silence = Literal["never", "data", "text"]


class Mailbox:
    """`silent_at`: it hangs up without a word once it has the command DATA, or once it has the text.

    An address with `later@` is refused for now.
    """

    def __init__(self, silent_at: Silence = "never") -> None:
        self.texts: list[str] = []
        self._silent_at = silent_at
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def settings(self) -> dict[str, str]:
        """With which an installation mails to it."""
        return {"ALERT_EMAILS": "me@example.org", "EMAIL_URL": f"smtp://127.0.0.1:{self.port}"}

    @property
    def subjects(self) -> list[str]:
        return [message_from_string(text, policy=default)["Subject"] for text in self.texts]

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection, connection.makefile("rw", newline="\r\n") as stream:
                self._talk(stream)

    def _talk(self, stream: TextIO) -> None:
        print("220 here", file=stream, flush=True)
        for line in stream:
            command = line.upper()
            if command.startswith("DATA"):
                if self._silent_at == "data":
                    return
                print("354 go on", file=stream, flush=True)
                self.texts.append("".join(iter(stream.readline, ".\r\n")))
                if self._silent_at == "text":
                    return
            if "later@" in line:
                print("450 later", file=stream, flush=True)
            else:
                print("221 bye" if command.startswith("QUIT") else "250 ok", file=stream, flush=True)
