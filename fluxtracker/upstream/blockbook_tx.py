"""Blockbook's transactions as records. On the hot path of a first sync: 20,000 of them in a few tenths of a second."""

from __future__ import annotations

from typing import Any

from fluxtracker.upstream.records import ChainTx, TxInput, TxOutput
from fluxtracker.upstream.script import described_data, is_op_return, pushed_data
from fluxtracker.upstream.wire import block_hash, instant, is_address, is_hash, satoshi, whole


def parsed_tx(row: Any) -> ChainTx:
    """One transaction (upstream.md 1.2). KeyError, TypeError or ValueError when it cannot be understood."""
    txid = row["txid"]
    if not is_hash(txid):
        raise ValueError("the txid is not 64 hex digits")
    height = row.get("blockHeight", -1)
    if type(height) is not int:
        raise ValueError("the block height is not a whole number")
    outputs = row.get("vout") or ()
    return ChainTx(
        txid,
        whole(height, "the block height") if height > 0 else -1,
        block_hash(row.get("blockHash")),
        instant(row.get("blockTime"), "the block time"),
        whole(row.get("confirmations", 0), "confirmations"),
        tuple([_input(vin) for vin in row.get("vin") or ()]),
        tuple([_output(position, vout) for position, vout in enumerate(outputs)]),
        _op_return(outputs),
    )


def _input(vin: Any) -> TxInput:
    if vin.get("coinbase"):
        return TxInput(None, None, 0, True)
    return TxInput(_address(vin), _previous(vin.get("txid")), whole(vin.get("vout", 0), "an input's vout"))


def _previous(txid: Any) -> str | None:
    return txid if txid and is_hash(txid) else None


def _output(position: int, vout: Any) -> TxOutput:
    return TxOutput(whole(vout.get("n", position), "an output's n"), satoshi(vout.get("value")), _address(vout))


def _address(side: Any) -> str | None:
    """The first address of an input or output; odd scripts have none, or one that is not an address."""
    addresses = side.get("addresses")
    if not addresses or side.get("isAddress") is False:
        return None
    first = addresses[0]
    return first if is_address(first) else None


def _op_return(outputs: Any) -> bytes | None:
    for vout in outputs:
        script = vout.get("hex")
        if is_op_return(script):
            data = pushed_data(script)
            if data is not None:
                return data
        addresses = vout.get("addresses")
        if addresses and not vout.get("isAddress"):
            data = described_data(addresses[0])
            if data is not None:
                return data
    return None
