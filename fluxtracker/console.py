"""What the supervisor prints: every line with the name of the program that said it."""

from __future__ import annotations

import os
import sys
from typing import TextIO

COLOURS = ("36", "33", "32", "35", "34", "31")  # cyan, yellow, green, magenta, blue, red
WIDTH = 8


class Console:
    """Writes whole lines; colours only on a terminal. Nothing once nobody reads, or while the disk is full."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR")
        self._names: list[str] = []

    def line(self, name: str, text: str) -> None:
        if name not in self._names:
            self._names.append(name)
        colour = COLOURS[self._names.index(name) % len(COLOURS)]
        label = f"{name:<{WIDTH}}|"
        self._write(f"\033[{colour}m{label}\033[0m {text}\n" if self._colour else f"{label} {text}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except BrokenPipeError:  # the reader has gone, the programs stay
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        except OSError:
            pass  # the output goes to a file on a full disk: the programs stay too
