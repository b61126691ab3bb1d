"""What of its requests is left to a client, as header fields of draft-ietf-httpapi-ratelimit-headers-10."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quota:
    """How a client stands against the limit. Times are in seconds."""

    limit: int
    remaining: int
    """Below 0: the request that was counted last is one too many."""
    reset_s: float
    window_s: float

    @property
    def is_over(self) -> bool:
        return self.remaining < 0

    @property
    def policy(self) -> str:
        return f'"client";q={self.limit};w={self.window_s:.0f}'

    @property
    def left(self) -> str:
        return f'"client";r={max(self.remaining, 0)};t={math.ceil(self.reset_s)}'
