"""Wait for another process."""

from __future__ import annotations

import time
from collections.abc import Callable

AMPLE = 180.0  # seconds: for what comes in moments, on the slowest machine too


def eventually(condition: Callable[[], object], seconds: float = AMPLE) -> bool:
    """Return whether it has come true, as soon as it has."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
