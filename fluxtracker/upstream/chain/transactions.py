"""Parse transactions, scripts and blocks of both chain sources.

FluxOS keeps one text per transaction; only the last output with a script counts (docs/upstream.md#app-payments).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from fluxtracker.upstream.parsing import MAX_SAT, WRONG_SHAPE, block_hash, instant, is_address, is_hash, satoshi, whole
from fluxtracker.upstream.records import Block, ChainTx, TxInput, TxOutput

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
    """Return the data as explorers write them: `OP_RETURN (text)` or `OP_RETURN <hex>`."""
    if not isinstance(text, str) or not text.startswith(TEXT_MARK):
        return None
    rest = text[len(TEXT_MARK) :]
    if rest.startswith("(") and rest.endswith(")") and len(rest) > 1:
        return rest[1:-1].encode(errors="replace")
    try:
        return bytes.fromhex(rest)
    except ValueError:
        return None


def blockbook_tx(row: Any) -> ChainTx:
    """Parse one. Raise KeyError, TypeError or ValueError if invalid (docs/upstream.md#blockbook-transactions)."""
    txid = row["txid"]
    if not is_hash(txid):
        raise ValueError("the txid is not 64 hex digits")
    height = row.get("blockHeight", -1)
    if type(height) is not int:
        raise ValueError("the block height is not a whole number")
    outputs = _numbered(row.get("vout"), "an output's n")
    return ChainTx(
        txid,
        whole(height, "the block height") if height > 0 else -1,
        block_hash(row.get("blockHash")),
        instant(row.get("blockTime"), "the block time"),
        whole(row.get("confirmations", 0), "confirmations"),
        tuple([_blockbook_input(vin) for _, vin in _numbered(row.get("vin"), "an input's n")]),
        tuple([TxOutput(n, satoshi(vout.get("value")), _address(vout)) for n, vout in outputs]),
        _blockbook_op_return(outputs) if may_hold_message(row.get("version")) else None,
    )


def _numbered(sides: Any, what: str) -> list[tuple[int, Any]]:
    """Return the inputs or outputs with their numbers, in the order of these: the list may have another."""
    found = [(whole(side.get("n", place), what), side) for place, side in enumerate(sides or ())]
    return sorted(found, key=itemgetter(0))


def _blockbook_input(vin: Any) -> TxInput:
    if vin.get("coinbase"):
        return TxInput(None, None, 0, True)
    return TxInput(_address(vin), _previous(vin.get("txid")), whole(vin.get("vout", 0), "an input's vout"))


def _previous(txid: Any) -> str | None:
    return txid if txid and is_hash(txid) else None


def _address(side: Any) -> str | None:
    """Return the first address of an input or output; odd scripts have none, or one that is not an address."""
    addresses = side.get("addresses")
    if not addresses or side.get("isAddress") is False:
        return None
    first = addresses[0]
    return first if is_address(first) else None


def _blockbook_op_return(outputs: Sequence[tuple[int, Any]]) -> bytes | None:
    """Return what the last output with a script carries, where that is an OP_RETURN."""
    for _, vout in reversed(outputs):
        script, text = vout.get("hex"), (vout.get("addresses") or [vout.get("asm")])[0]
        if script or text:
            return pushed_data(script) if script else described_data(text)
    return None


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def daemon_tx(row: Any) -> ChainTx:
    """Return one transaction. KeyError, TypeError or ValueError when it cannot be understood."""
    txid = row["txid"]
    if not is_hash(txid):
        raise ValueError("the txid is not 64 hex digits")
    height = row.get("height", -1)
    if type(height) is not int:
        raise ValueError("the height is not a whole number")
    outputs = sorted(row.get("vout") or (), key=lambda vout: whole(vout["n"], "an output's n"))
    return ChainTx(
        txid=txid,
        height=whole(height, "the height") if height > 0 else -1,
        block_hash=block_hash(row.get("blockhash")),
        block_time=_block_time(row, height),
        confirmations=whole(row.get("confirmations", 0), "confirmations", -1),
        inputs=tuple([_daemon_input(vin) for vin in row.get("vin") or ()]),
        outputs=tuple([_output(vout) for vout in outputs]),
        op_return=_daemon_op_return(outputs) if may_hold_message(row.get("version")) else None,
    )


def _block_time(row: Any, height: int) -> datetime:
    """Of the block; the epoch for what waits in the mempool and has no time."""
    time = row.get("blocktime", row.get("time"))
    return EPOCH if time is None and height <= 0 else instant(time, "the block time")


def _daemon_input(vin: Any) -> TxInput:
    """`address` is there only where the node's index knows the input."""
    if vin.get("coinbase"):
        return TxInput(None, None, 0, coinbase=True)
    address, previous = vin.get("address"), vin.get("txid")
    return TxInput(
        address if isinstance(address, str) and is_address(address) else None,
        previous if isinstance(previous, str) and is_hash(previous) else None,
        whole(vin.get("vout", 0), "an input's vout"),
    )


def _output(vout: Any) -> TxOutput:
    # docs/upstream.md#daemon: valueSat and valueZat are integers; `value` is a float and never used.
    value = vout["valueSat"] if "valueSat" in vout else vout["valueZat"]
    addresses = vout["scriptPubKey"].get("addresses")
    single = addresses[0] if isinstance(addresses, list) and len(addresses) == 1 else None
    return TxOutput(
        vout["n"],
        whole(value, "an amount in satoshi", 0, MAX_SAT),
        single if isinstance(single, str) and is_address(single) else None,
    )


def _daemon_op_return(outputs: Sequence[Any]) -> bytes | None:
    """Return what the last output with a script carries, where that is an OP_RETURN."""
    for vout in reversed(outputs):
        script, text = vout["scriptPubKey"].get("hex"), vout["scriptPubKey"].get("asm")
        if script or text:
            return pushed_data(script) if script else described_data(text)
    return None


def block_at(row: Any, height: int, bad: Callable[[str], Exception]) -> Block:
    """Return the block at the height, without its transactions. Raise `bad` of what is wrong with the answer."""
    try:
        found = Block(whole(row["height"], "height"), instant(row["time"], "time"), block_hash(row.get("hash")))
    except WRONG_SHAPE as error:
        raise bad(f"its block is not usable ({error})") from None
    if found.height != height:
        raise bad(f"it answers block {found.height}")
    return found
