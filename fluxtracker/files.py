"""Write files atomically: a kill or a power loss leaves the old one or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path

PART = ".part"


def sync(path: Path) -> None:
    """Wait until a file, or a folder's entries, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> None:
    """Write a file for its owner only, and wait until it is on disk."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, content: bytes) -> None:
    """Replace the file atomically. Only one process at a time may do so."""
    part = path.with_name(f".{path.name}{PART}")
    write(part, content)
    os.replace(part, path)
    sync(path.parent)
