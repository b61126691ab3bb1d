"""Simulate the chain, and write its transactions like Blockbook and the daemon.

Blocks are not stored: a block's hash follows from the seed and the height, its time from the height. As in the real
answers, amounts and positions of zero are left out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from fluxtracker.simnet import records
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import Input, Output, Tx


@dataclass(slots=True)
class AddressIndex:
    """The transactions of one address, oldest first, and their sums in satoshi."""

    heights: list[int] = field(default_factory=list)
    txs: list[Tx] = field(default_factory=list)
    received: int = 0
    sent: int = 0

    def add(self, address: str, tx: Tx) -> None:
        at = bisect_right(self.heights, tx.height)
        self.heights.insert(at, tx.height)
        self.txs.insert(at, tx)
        self.count(address, tx, 1)

    def count(self, address: str, tx: Tx, sign: int) -> None:
        """Add a transaction to the sums (`sign` 1), or take it off (-1)."""
        self.received += sign * sum(o.sat for o in tx.outputs if o.address == address)
        self.sent += sign * sum(i.sat for i in tx.inputs if i.address == address and i.named)

    def between(self, low: int, high: int) -> list[Tx]:
        """Return the transactions of a range of heights, inclusive, oldest first."""
        return self.txs[bisect_left(self.heights, low) : bisect_right(self.heights, high)]

    def newest(self, low: int, high: int, skip: int, count: int) -> tuple[list[Tx], int]:
        """Return `count` transactions after the first `skip`, newest first, and how many the range has."""
        first, last = bisect_left(self.heights, low), bisect_right(self.heights, high)
        end = max(first, last - skip)
        return self.txs[max(first, end - count) : end][::-1], last - first


class Chain:
    """Blocks 1 to `tip`. Times follow the real chain up to `start`, then one block comes every `block_seconds`."""

    def __init__(self, seed: int, start: int, block_seconds: float = records.NEW_SECONDS) -> None:
        self.seed = seed
        self.start = self.tip = start
        self.block_seconds = block_seconds
        self.by_txid: dict[str, Tx] = {}
        self.by_address: dict[str, AddressIndex] = {}
        self.blocks: dict[int, list[Tx]] = {}

    def time(self, height: int) -> int:
        if height <= self.start:
            return records.time_of(height)
        return records.time_of(self.start) + int((height - self.start) * self.block_seconds)

    def height_at(self, seconds: float) -> int:
        """Return the height of the tip at an instant (Unix seconds)."""
        past = seconds - records.time_of(self.start)
        if past < 0:
            return records.height_at(seconds)
        return self.start + int(past / self.block_seconds)

    def hash(self, height: int) -> str:
        return digest(self.seed, 0, height)

    def index(self, address: str) -> AddressIndex:
        """Return the transactions of an address, empty if it has none."""
        return self.by_address.get(address) or AddressIndex()

    def add(self, tx: Tx) -> None:
        self.by_txid[tx.txid] = tx
        self.blocks.setdefault(tx.height, []).append(tx)
        for address in tx.addresses():
            self.by_address.setdefault(address, AddressIndex()).add(address, tx)

    def get(self, txid: str) -> Tx | None:
        return self.by_txid.get(txid)

    def __iter__(self) -> Iterator[Tx]:
        return iter(self.by_txid.values())


SEQUENCE = 4_294_967_295
COINBASE = "03b2ba2d00"
ODD_SCRIPT = "51"  # OP_1: any wallet can spend it, so it has no address
OLD_ENOUGH = 20_000  # blocks after which many outputs are spent


def script_of(output: Output) -> str:
    if output.script is not None:
        return output.script
    if output.data is not None:
        return records.push(output.data)
    return records.script(output.address) if output.address else ODD_SCRIPT


def signature_of(item: Input) -> str:
    """Return 106 bytes in hex that look like a signature and a public key."""
    half = digest(item.txid)
    return f"4730440220{half}0220{half[::-1]}012102{half}"


def raw_hex(tx: Tx) -> str:
    """Return the transaction in hex, in the layout of version 4."""
    ins = "".join(
        f"{item.txid or '00' * 32}{item.vout.to_bytes(4, 'little').hex()}6a{signature_of(item)}ffffffff"
        for item in tx.inputs
    )
    codes = [(output.sat, script_of(output)) for output in tx.outputs]
    outs = "".join(f"{sat.to_bytes(8, 'little').hex()}{len(code) // 2:02x}{code}" for sat, code in codes)
    return f"0400008085202f89{len(tx.inputs):02x}{ins}{len(tx.outputs):02x}{outs}{'00' * 19}"


# Blockbook


def blockbook_tx(chain: Chain, tx: Tx, address: str = "", tip: int | None = None) -> bytes:
    """Return the JSON of a transaction, in the list of an address when one is given."""
    head, tail = blockbook_halves(chain, tx, address)
    return head + str(confirmations(chain, tx, tip)).encode() + tail


def confirmations(chain: Chain, tx: Tx, tip: int | None = None) -> int:
    return (chain.tip if tip is None else tip) - tx.height + 1 if tx.height > 0 else 0


def blockbook_halves(chain: Chain, tx: Tx, address: str) -> tuple[bytes, bytes]:
    """Return the JSON before and after the number of confirmations. Both are made once and kept."""
    halves = tx.rendered.get(address)
    if halves is None:
        raw, mined = raw_hex(tx), tx.height > 0
        paid, spent = sum(o.sat for o in tx.outputs), sum(i.sat for i in tx.inputs)
        head = {
            "txid": tx.txid,
            "version": tx.version,
            "vin": [_vin(n, item, address) for n, item in enumerate(tx.inputs)],
            "vout": [_vout(chain, tx, n, output, address) for n, output in enumerate(tx.outputs)],
            **({"blockHash": chain.hash(tx.height), "blockHeight": tx.height} if mined else {"blockHeight": -1}),
        }
        tail = {
            "blockTime": chain.time(tx.height if mined else chain.tip),
            "size": len(raw) // 2,
            "value": str(paid),
            "valueIn": str(spent),
            "fees": str(max(0, spent - paid)),
            "hex": raw,
        }
        halves = orjson.dumps(head)[:-1] + b',"confirmations":', b"," + orjson.dumps(tail)[1:]
        tx.rendered[address] = halves
    return halves


def _vin(n: int, item: Input, address: str) -> dict[str, Any]:
    if item.coinbase:
        return {"sequence": SEQUENCE, "n": n, "isAddress": False, "coinbase": COINBASE}
    names = {"addresses": [item.address], "isAddress": True} if item.address and item.named else {"isAddress": False}
    return {
        "txid": item.txid,
        **({"vout": item.vout} if item.vout else {}),
        "sequence": SEQUENCE,
        "n": n,
        **names,
        **({"isOwn": True} if names["isAddress"] and item.address == address else {}),
        "value": str(item.sat),
        "hex": signature_of(item),
    }


def _vout(chain: Chain, tx: Tx, n: int, output: Output, address: str) -> dict[str, Any]:
    spent = output.address and chain.start - tx.height > OLD_ENOUGH and int(tx.txid[n % 64], 16) < 9
    return {
        "value": str(output.sat),
        "n": n,
        **({"spent": True} if spent else {}),
        "hex": script_of(output),
        "addresses": _names(output),
        "isAddress": output.address is not None,
        **({"isOwn": True} if output.address == address else {}),
    }


def _names(output: Output) -> list[str] | None:
    """Return the address or, for an OP_RETURN, its text in brackets or its hex without them."""
    if output.address:
        return [output.address]
    if output.data is None:
        return None
    try:
        return [f"OP_RETURN ({output.data.decode()})"]
    except UnicodeDecodeError:
        return [f"OP_RETURN {output.data.hex()}"]


# The daemon


def daemon_tx(chain: Chain, tx: Tx, *, spent_index: bool, tip: int) -> dict[str, Any]:
    """Return `getrawtransaction/<txid>/1`; a node without a spent index does not name senders."""
    found: dict[str, Any] = {
        "hex": raw_hex(tx),
        "txid": tx.txid,
        "version": tx.version,
        "overwintered": True,
        "versiongroupid": "892f2085",
        "locktime": 0,
        "expiryheight": max(tx.height, 0) + 59,
        "vin": [_daemon_vin(item, spent_index) for item in tx.inputs],
        "vout": [
            {"value": o.sat / 1e8, "valueZat": o.sat, "valueSat": o.sat, "n": n, "scriptPubKey": _script_pub_key(o)}
            for n, o in enumerate(tx.outputs)
        ],
        "vJoinSplit": [],
        "valueBalance": 0,
        "valueBalanceZat": 0,
        "vShieldedSpend": [],
        "vShieldedOutput": [],
        "confirmations": confirmations(chain, tx, tip),
    }
    if tx.height > 0:
        seen = chain.time(tx.height)
        found |= {"blockhash": chain.hash(tx.height), "height": tx.height, "time": seen, "blocktime": seen}
    return found


def _daemon_vin(item: Input, spent_index: bool) -> dict[str, Any]:
    if item.coinbase:
        return {"coinbase": COINBASE, "sequence": SEQUENCE}
    code = signature_of(item)
    asm = f"{code[2:142]}[ALL] {code[-66:]}"
    found: dict[str, Any] = {"txid": item.txid, "vout": item.vout, "scriptSig": {"asm": asm, "hex": code}}
    if spent_index and item.named and item.address:
        found |= {"value": item.sat / 1e8, "valueSat": item.sat, "address": item.address}
    return found | {"sequence": SEQUENCE}


def _script_pub_key(output: Output) -> dict[str, Any]:
    code = script_of(output)
    if output.data is not None:
        return {"asm": f"OP_RETURN {output.data.hex()}", "hex": code, "type": "nulldata"}
    if output.address is None:
        return {"asm": "1" if code else "", "hex": code, "type": "nonstandard"}
    if output.address.startswith("t3"):
        asm, kind = f"OP_HASH160 {code[4:44]} OP_EQUAL", "scripthash"
    else:
        asm, kind = f"OP_DUP OP_HASH160 {code[6:46]} OP_EQUALVERIFY OP_CHECKSIG", "pubkeyhash"
    return {"asm": asm, "hex": code, "reqSigs": 1, "type": kind, "addresses": [output.address]}
