"""Start, await and end a server for a measurement."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from fluxtracker.supervisor.demo import free_port
from fluxtracker.supervisor.main import Address
from tests.settings_names import ROOT
from tests.waiting import eventually


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], *, within_s: float) -> Iterator[str]:
    """The address at which the page is, once it is there."""
    address = Address("127.0.0.1", free_port())
    process = subprocess.Popen(command, cwd=ROOT, env={**environment, "PORT": str(address.port)})
    try:
        eventually(lambda: address.answers() or process.poll() is not None, within_s)
        if not address.answers():
            raise SystemExit(f"error: no page at {address.url}")
        yield address.url
    finally:
        process.terminate()
        process.wait(30)
