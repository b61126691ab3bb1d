"""Which process an id means: ids are given again, clocks are stepped, machines start anew, containers count alone.

On Linux a process is marked by the boot, the PID namespace and its start in ticks since the boot, none of which a
clock changes. Where there is no /proc, by its start on the wall clock.
"""

from __future__ import annotations

from pathlib import Path

import psutil

CLOCK_TOLERANCE = 2.0  # seconds; a wall clock may be corrected
BOOT, NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
STARTED = 19  # field 22 of /proc/PID/stat, counted from behind the program's name


def here() -> str:
    """Where ids mean what they mean to us: this boot, this PID namespace. Empty where the system does not tell."""
    try:
        return f"{BOOT.read_text()[:8]}-{NAMESPACE.stat().st_ino}"
    except OSError:
        return ""


def mark(pid: int) -> str | None:
    """What tells the process from all others that had, have or will have its id; None when it is no more."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        place = here()
        return f"{place}-{_ticks(pid)}" if place else f"{process.create_time():.2f}"
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return None


def is_from_here(marked: str) -> bool:
    """Whether we can look for the process by its id."""
    return _place(marked) == here()


def is_gone(pid: int, marked: str) -> bool:
    """Whether the marked process is no more. False when nobody can know.

    A mark without a place where ours have one is an older version's: it is believed when the id is free.
    """
    try:
        if _place(marked) and not is_from_here(marked):
            return False
        now = mark(pid)
        return now is None or (is_from_here(marked) and not _is_same(now, marked))
    except (psutil.Error, OSError, ValueError, OverflowError):
        return False


def _place(marked: str) -> str:
    return marked.rpartition("-")[0]


def _is_same(one: str, other: str) -> bool:
    if _place(one):
        return one == other
    return abs(float(one) - float(other)) <= CLOCK_TOLERANCE


def _ticks(pid: int) -> str:
    """Its name may hold anything, also brackets and spaces."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[STARTED]
