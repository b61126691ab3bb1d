"""The long-running programs and their command lines.

`make up`, `make demo` and docker-compose.yml run the same ones; a test compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from signal import SIGQUIT

PYTHON = "python"  # stands for the interpreter: the image's own, or the one that runs the supervisor

WEB = (PYTHON, "-m", "gunicorn", "--config", "python:fluxtracker.webserver", "fluxtracker.wsgi:application")
WORKER = (
    *(PYTHON, "-m", "celery", "--quiet", "--app", "fluxtracker", "worker"),
    *("--pool", "prefork", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
)
BEAT = (PYTHON, "-m", "celery", "--quiet", "--app", "fluxtracker", "beat", "--loglevel", "INFO")
# Containers run as root; what the warning is about, pickled messages, is not accepted here.
NO_ROOT_WARNING = {"PYTHONWARNINGS": "ignore:You're running the worker"}
MIGRATE = (PYTHON, "manage.py", "migrate", "--noinput")


@dataclass(frozen=True, slots=True)
class Program:
    """A command line with a name, and how it is asked to end."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    hurry_signal: int | None = None
    """Sent when the polite signal was not enough; the worker then hands its tasks back to the broker."""
    noise: str = ""
    """Lines with this text are not passed on."""
    foundation: bool = False
    """The others need it: it starts before them and ends after them."""

    @property
    def argv(self) -> list[str]:
        return [sys.executable if word == PYTHON else word for word in self.command]


def application() -> list[Program]:
    """Web, worker and scheduler, in the order in which they start."""
    return [
        Program("web", WEB),
        Program("worker", WORKER, NO_ROOT_WARNING, hurry_signal=SIGQUIT),
        Program("beat", BEAT),
    ]
