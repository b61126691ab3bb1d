"""What an OP_RETURN script carries."""

from __future__ import annotations

OP_RETURN, PUSHDATA1, PUSHDATA2 = 0x6A, 0x4C, 0x4D
TEXT_MARK = "OP_RETURN "


def is_op_return(script: object) -> bool:
    return isinstance(script, str) and script[:2].lower() == "6a"


def pushed_data(script: str) -> bytes | None:
    """The first data pushed after OP_RETURN, None where the script (hex) is something else or cut short.

    upstream.md 1.2: `6a <len> data`, `6a 4c <len> data`, `6a 4d <lo><hi> data`.
    """
    try:
        code = bytes.fromhex(script)
    except ValueError:
        return None
    if len(code) < 2 or code[0] != OP_RETURN:
        return None
    if 1 <= code[1] < PUSHDATA1:
        start, size = 2, code[1]
    elif code[1] == PUSHDATA1 and len(code) > 2:
        start, size = 3, code[2]
    elif code[1] == PUSHDATA2 and len(code) > 3:
        start, size = 4, code[2] | code[3] << 8
    else:
        return None
    data = code[start : start + size]
    return data if len(data) == size else None


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
