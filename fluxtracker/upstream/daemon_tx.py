"""The daemon's transactions as records (docs/upstream.md#daemon)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fluxtracker.upstream.records import ChainTx, TxInput, TxOutput
from fluxtracker.upstream.script import described_data, may_hold_message, pushed_data
from fluxtracker.upstream.wire import MAX_SAT, block_hash, instant, is_address, is_hash, whole

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parsed_tx(row: Any) -> ChainTx:
    """One transaction. KeyError, TypeError or ValueError when it cannot be understood."""
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
        inputs=tuple([_input(vin) for vin in row.get("vin") or ()]),
        outputs=tuple([_output(vout) for vout in outputs]),
        op_return=_op_return(outputs) if may_hold_message(row.get("version")) else None,
    )


def _block_time(row: Any, height: int) -> datetime:
    """Of the block; the epoch for what waits in the mempool and has no time."""
    time = row.get("blocktime", row.get("time"))
    return EPOCH if time is None and height <= 0 else instant(time, "the block time")


def _input(vin: Any) -> TxInput:
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


def _op_return(outputs: Sequence[Any]) -> bytes | None:
    """Return what the last output with a script carries, where that is an OP_RETURN."""
    for vout in reversed(outputs):
        script, text = vout["scriptPubKey"].get("hex"), vout["scriptPubKey"].get("asm")
        if script or text:
            return pushed_data(script) if script else described_data(text)
    return None
