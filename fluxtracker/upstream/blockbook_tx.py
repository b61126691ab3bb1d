"""Blockbook's transactions as records. On the hot path of a first sync: 20,000 of them in a few tenths of a second."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from fluxtracker.upstream.records import ChainTx, TxInput, TxOutput
from fluxtracker.upstream.script import described_data, may_hold_message, pushed_data
from fluxtracker.upstream.wire import block_hash, instant, is_address, is_hash, satoshi, whole


def parsed_tx(row: Any) -> ChainTx:
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
        tuple([_input(vin) for _, vin in _numbered(row.get("vin"), "an input's n")]),
        tuple([TxOutput(n, satoshi(vout.get("value")), _address(vout)) for n, vout in outputs]),
        _op_return(outputs) if may_hold_message(row.get("version")) else None,
    )


def _numbered(sides: Any, what: str) -> list[tuple[int, Any]]:
    """Return the inputs or outputs with their numbers, in the order of these: the list may have another."""
    found = [(whole(side.get("n", place), what), side) for place, side in enumerate(sides or ())]
    return sorted(found, key=itemgetter(0))


def _input(vin: Any) -> TxInput:
    if vin.get("coinbase"):
        return TxInput(None, None, 0, True)
    return TxInput(_address(vin), _previous(vin.get("txid")), whole(vin.get("vout", 0), "an input's vout"))


def _previous(txid: Any) -> str | None:
    return txid if txid and is_hash(txid) else None


def _address(side: Any) -> str | None:
    """The first address of an input or output; odd scripts have none, or one that is not an address."""
    addresses = side.get("addresses")
    if not addresses or side.get("isAddress") is False:
        return None
    first = addresses[0]
    return first if is_address(first) else None


def _op_return(outputs: Sequence[tuple[int, Any]]) -> bytes | None:
    """Return what the last output with a script carries, where that is an OP_RETURN."""
    for _, vout in reversed(outputs):
        script, text = vout.get("hex"), (vout.get("addresses") or [vout.get("asm")])[0]
        if script or text:
            return pushed_data(script) if script else described_data(text)
    return None
