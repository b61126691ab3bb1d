"""One supervisor a data dir, and the record of what it started.

The lock is the kernel's: it is free again at the instant its holder dies. The record lets the next
supervisor end what a killed one left behind, and nothing else: a process is known by its id and its mark.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from fluxtracker import identity


class InUse(Exception):
    """Another supervisor runs on this data dir."""


@contextmanager
def held(data_dir: Path) -> Iterator[None]:
    """Hold the data dir's lock; InUse names the process that has it."""
    with (data_dir / "supervisor.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise InUse(f"already running on {data_dir} (process {file.read().strip() or 'unknown'})") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def record(data_dir: Path, pids: list[int]) -> None:
    """Write down the processes that run now."""
    draft = data_dir / "processes.json.new"
    draft.write_text(json.dumps([[pid, marked] for pid in pids if (marked := identity.mark(pid)) is not None]))
    draft.replace(data_dir / "processes.json")


def end_leftovers(data_dir: Path, seconds: float = 5) -> int:
    """End what a killed supervisor left running, with its descendants; return how many programs there were."""
    found = [pid for pid, marked in _recorded(data_dir) if _is_ours(pid, marked)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for leader in found:
            end_group(leader, number)
        _wait_for_end(found, seconds)
    return len(found)


def _is_ours(leader: int, marked: str) -> bool:
    """Whether the group of that process still has members and its id was not given to somebody else."""
    if not identity.is_from_here(marked) or not group_lives(leader):
        return False
    return identity.mark(leader) is None or not identity.is_gone(leader, marked)


def _wait_for_end(leaders: list[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(map(group_lives, leaders)) and time.monotonic() < end:
        time.sleep(0.05)


def group_lives(leader: int) -> bool:
    """Whether a process of the group is alive; one that has ended and waits to be reaped is not."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                return True
    return False


def end_group(leader: int, number: int) -> None:
    """Signal a child that leads its own process group, and everything it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def _recorded(data_dir: Path) -> list[tuple[int, str]]:
    try:
        rows = json.loads((data_dir / "processes.json").read_text())
        return [(int(pid), str(marked)) for pid, marked in rows]
    except (OSError, ValueError, TypeError):
        return []
