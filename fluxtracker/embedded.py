"""Where the embedded broker listens: a Unix socket that every process finds without asking."""

import hashlib
import os
from pathlib import Path

LONGEST_SOCKET_PATH = 100  # bytes; the kernel's limit is 108 on Linux and 104 on macOS


def socket_path(data_dir: Path) -> Path:
    """The broker's socket under the data dir, or in a private folder in /tmp where that path is too long."""
    path = data_dir / "broker" / "broker.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path("/tmp") / f"fluxtracker-{os.getuid()}-{name}" / "broker.sock"  # noqa: S108  made with mode 0700
