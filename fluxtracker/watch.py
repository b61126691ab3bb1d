"""Who looks on while work is done: hears how far it is, and may call it off between two steps."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Cancelled(Exception):
    """Whoever asked for the work does not want it any more. Neither done nor failed."""


class Watch(Protocol):
    """Looks on from outside."""

    def progress(self, words: str) -> None:
        """How far it is."""

    def check(self) -> None:
        """Raise Cancelled when the work is not wanted any more."""


class NobodyWatches:
    """Work of the schedule, or of a command."""

    def progress(self, words: str) -> None: ...

    def check(self) -> None: ...


# Around a job's whole work, so that no door and no verb has to hand it down.
WATCH: ContextVar[Watch] = ContextVar("watch", default=NobodyWatches())  # noqa: B039  it holds nothing
