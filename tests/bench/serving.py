"""Start, await and end a server for a measurement."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.main import Address
from tests.settings_names import ROOT
from tests.waiting import eventually


@dataclass(frozen=True)
class Served:
    url: str
    process: subprocess.Popen[bytes]

    def worker_mb(self) -> float:
        """The memory of its largest child."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return max(child.memory_info().rss for child in children) / 2**20


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], *, within_s: float) -> Iterator[Served]:
    """A server on a free port, once the page is there. `{port}` in the command stands for it, PORT names it too."""
    address = Address("127.0.0.1", free_port())
    process = subprocess.Popen(
        [word.replace("{port}", str(address.port)) for word in command],
        cwd=ROOT,
        env={**environment, "PORT": str(address.port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: address.answers() or process.poll() is not None, within_s)
        if not address.answers():
            raise SystemExit(f"error: no page at {address.url}")
        yield Served(address.url, process)
    finally:
        process.terminate()
        process.wait(30)
