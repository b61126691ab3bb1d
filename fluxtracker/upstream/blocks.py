"""Blocks as records: both sources tell height, time and hash under the same names."""

from __future__ import annotations

from typing import Any

from fluxtracker.upstream.records import Block
from fluxtracker.upstream.wire import block_hash, instant, whole


def parsed_block(row: Any) -> Block:
    """Return a block without its transactions. KeyError, TypeError or ValueError when it cannot be understood."""
    return Block(whole(row["height"], "height"), instant(row["time"], "time"), block_hash(row.get("hash")))
