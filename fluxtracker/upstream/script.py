"""What an OP_RETURN script carries, and which one counts.

FluxOS keeps one text a transaction, and every output that has a script overwrites it: only the last such output
can hold a message (docs/upstream.md#app-payments).
"""

from __future__ import annotations

from typing import Any

OP_RETURN, PUSHDATA1, PUSHDATA2, PUSHDATA4 = 0x6A, 0x4C, 0x4D, 0x4E
SIZE_BYTES = {PUSHDATA1: 1, PUSHDATA2: 2, PUSHDATA4: 4}
TEXT_MARK = "OP_RETURN "
VERSIONS = range(1, 5)  # of transactions that FluxOS looks into for a message


def may_hold_message(version: object) -> bool:
    """Return whether FluxOS looks into a transaction of this version; one that is not told is taken for a usual one."""
    return type(version) is not int or version in VERSIONS


def pushed_data(script: Any) -> bytes | None:
    """Return the data of an OP_RETURN script in hex; None where it is something else, cut short or more than that.

    The forms are `6a <len> data`, `6a 4c <len> data`, `6a 4d <lo><hi> data`, and the same with four bytes
    (docs/upstream.md#blockbook-transactions).
    """
    try:
        code = bytes.fromhex(script)
    except (TypeError, ValueError):
        return None
    if len(code) < 2 or code[0] != OP_RETURN:
        return None
    start = 2 + SIZE_BYTES.get(code[1], 0)
    if 1 <= code[1] < PUSHDATA1:
        size = code[1]
    elif start > 2:
        size = int.from_bytes(code[2:start], "little")
    else:
        return None
    return code[start:] if len(code) == start + size else None


def described_data(text: object) -> bytes | None:
    """The data as explorers write them: `OP_RETURN (text)` or `OP_RETURN <hex>`."""
    if not isinstance(text, str) or not text.startswith(TEXT_MARK):
        return None
    rest = text[len(TEXT_MARK) :]
    if rest.startswith("(") and rest.endswith(")") and len(rest) > 1:
        return rest[1:-1].encode(errors="replace")
    try:
        return bytes.fromhex(rest)
    except ValueError:
        return None
