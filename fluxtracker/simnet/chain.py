"""Transactions as Blockbook and the daemon write them. Amounts of zero and the like are left out as there.

The simulated chain: blocks by height, transactions by address, new blocks and reorganisations.

Blocks are not stored. A block's hash follows from the seed, the branch and the height, its time from the
height; only transactions take memory.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from fluxtracker.simnet import records
from fluxtracker.simnet.history import digest
from fluxtracker.simnet.records import FUND, Input, Output, Tx, made_up


@dataclass(slots=True)
class AddressIndex:
    """The transactions that touch one address, oldest first, and what they add up to."""

    heights: list[int] = field(default_factory=list)
    txs: list[Tx] = field(default_factory=list)
    received: int = 0
    sent: int = 0

    def add(self, address: str, tx: Tx) -> None:
        at = bisect_right(self.heights, tx.height)
        self.heights.insert(at, tx.height)
        self.txs.insert(at, tx)
        self._count(address, tx, 1)

    def remove(self, address: str, tx: Tx) -> None:
        at = self.txs.index(tx, bisect_left(self.heights, tx.height))
        del self.heights[at], self.txs[at]
        self._count(address, tx, -1)

    def _count(self, address: str, tx: Tx, sign: int) -> None:
        self.received += sign * sum(o.sat for o in tx.outputs if o.address == address)
        self.sent += sign * sum(i.sat for i in tx.inputs if i.address == address and i.told)

    def between(self, low: int, high: int) -> list[Tx]:
        """Both heights included, oldest first."""
        return self.txs[bisect_left(self.heights, low) : bisect_right(self.heights, high)]

    def newest(self, low: int, high: int, skip: int, count: int) -> tuple[list[Tx], int]:
        """`count` transactions after the first `skip`, newest first, and how many there are in all."""
        first, last = bisect_left(self.heights, low), bisect_right(self.heights, high)
        end = max(first, last - skip)
        return self.txs[max(first, end - count) : end][::-1], last - first


class Chain:
    """Blocks 1 to `tip`; up to `start` their times follow the real chain, after it `block_seconds`."""

    def __init__(self, seed: int, start: int, block_seconds: float = records.NEW_SECONDS) -> None:
        self.seed = seed
        self.start = self.tip = start
        self.block_seconds = block_seconds
        self.branches = [(0, 0)]
        """Height from which a branch counts, and its number, in order of height."""
        self.forks = 0
        self.by_txid: dict[str, Tx] = {}
        self.by_address: dict[str, AddressIndex] = {}
        self.blocks: dict[int, list[Tx]] = {}
        self.spenders: dict[str, tuple[Tx, Input]] = {}

    def time(self, height: int) -> int:
        if height <= self.start:
            return records.time_of(height)
        return records.time_of(self.start) + int((height - self.start) * self.block_seconds)

    def height_at(self, seconds: float) -> int:
        """The height that the tip should have at an instant."""
        past = seconds - records.time_of(self.start)
        if past < 0:
            return records.height_at(seconds)
        return self.start + int(past / self.block_seconds)

    def hash(self, height: int) -> str:
        branch = next(number for low, number in reversed(self.branches) if low <= height)
        return digest(self.seed, branch, height)

    def height_of_hash(self, block_hash: str, search: int = 5_000) -> int | None:
        """The height of one of the newest blocks, or of a block with a transaction."""
        for height in range(self.tip, max(0, self.tip - search), -1):
            if self.hash(height) == block_hash:
                return height
        return next((height for height in self.blocks if self.hash(height) == block_hash), None)

    def add(self, tx: Tx) -> None:
        self.by_txid[tx.txid] = tx
        self.blocks.setdefault(tx.height, []).append(tx)
        for item in tx.inputs:
            if item.found and item.txid:
                self.spenders[item.txid] = (tx, item)
        for address in tx.addresses():
            self.by_address.setdefault(address, AddressIndex()).add(address, tx)

    def remove(self, tx: Tx) -> None:
        del self.by_txid[tx.txid]
        self.blocks[tx.height].remove(tx)
        for item in tx.inputs:
            self.spenders.pop(item.txid, None)
        for address in tx.addresses():
            self.by_address[address].remove(address, tx)
        tx.rendered.clear()

    def get(self, txid: str) -> Tx | None:
        """A transaction of the chain, or the one that an input of the chain spends."""
        return self.by_txid.get(txid) or self._spent(txid)

    def _spent(self, txid: str) -> Tx | None:
        found = self.spenders.get(txid)
        if found is None:
            return None
        tx, item = found
        paid = [Output(None, 1000 + n) for n in range(item.vout)] + [Output(item.address, item.sat)]
        source = (Input(None, digest(txid, "older"), 0, sum(o.sat for o in paid), found=False),)
        return Tx(txid, source, tuple(paid), height=max(1, tx.height - 120))

    def block(self, height: int) -> list[Tx]:
        """The transactions of a block; the first one is the miner's."""
        found = self.blocks.get(height, [])
        coinbase = [tx for tx in found if any(i.coinbase for i in tx.inputs)]
        return [*(coinbase or [self._mined(height)]), *(tx for tx in found if tx not in coinbase)]

    def _mined(self, height: int) -> Tx:
        outputs = (Output(FUND, 50_000_000), Output(made_up("miner"), 900_000_000))
        source = (Input(None, "", 0, 0, coinbase=True),)
        return Tx(digest(self.hash(height), "miner"), source, outputs, height=height)

    def above(self, height: int) -> list[Tx]:
        """Transactions in the blocks after a height, oldest first."""
        found = [tx for h, txs in self.blocks.items() if h > height for tx in txs]
        return sorted(found, key=lambda tx: tx.height)

    def fork(self, depth: int, blocks: int) -> list[Tx]:
        """Take off the last `depth` blocks, put `blocks` others on; gives back what was in the old ones."""
        root = self.tip - depth
        taken = self.above(root)
        for tx in taken:
            self.remove(tx)
        self.forks += 1
        self.branches = [(low, number) for low, number in self.branches if low <= root]
        self.branches.append((root + 1, self.forks))
        self.tip = root + blocks
        return taken

    def __iter__(self) -> Iterator[Tx]:
        return iter(self.by_txid.values())

    def extend(self, txs: Iterable[Tx]) -> None:
        for tx in txs:
            self.add(tx)


SEQUENCE = 4_294_967_295
ODD_SCRIPT = "51"  # anybody may spend it: no address
OLD_ENOUGH = 20_000  # blocks after which many outputs of ours are spent


def script_of(output: Output) -> str:
    if output.script is not None:
        return output.script
    if output.data is not None:
        return records.push(output.data)
    return records.script(output.address) if output.address else ODD_SCRIPT


def signature_of(item: Input) -> str:
    """Looks like a signature and a public key, 106 bytes."""
    half = digest(item.txid)
    return f"4730440220{half}0220{half[::-1]}012102{half}"


def raw_hex(tx: Tx) -> str:
    """The bytes of the transaction, in the layout of a version 4 one, in hex."""
    ins = "".join(
        f"{item.txid or '00' * 32}{item.vout.to_bytes(4, 'little').hex()}6a{signature_of(item)}ffffffff"
        for item in tx.inputs
    )
    outs = ""
    for output in tx.outputs:
        code = script_of(output)
        outs += f"{output.sat.to_bytes(8, 'little').hex()}{len(code) // 2:02x}{code}"
    return f"0400008085202f89{len(tx.inputs):02x}{ins}{len(tx.outputs):02x}{outs}{'00' * 19}"


# Blockbook


def blockbook_tx(chain: Chain, tx: Tx, asked: str = "", tip: int | None = None) -> bytes:
    """Full JSON of a transaction; `asked` is the address of the list that it stands in."""
    head, tail = blockbook_halves(chain, tx, asked)
    return head + str(confirmations(chain, tx, tip)).encode() + tail


def confirmations(chain: Chain, tx: Tx, tip: int | None = None) -> int:
    return (chain.tip if tip is None else tip) - tx.height + 1 if tx.height > 0 else 0


def blockbook_halves(chain: Chain, tx: Tx, asked: str) -> tuple[bytes, bytes]:
    """The JSON before and behind the number of confirmations, made once."""
    halves = tx.rendered.get(asked)
    if halves is None:
        body = {"txid": tx.txid, "version": tx.version}
        body |= {"vin": [_vin(n, item, asked) for n, item in enumerate(tx.inputs)]}
        body |= {"vout": [_vout(chain, tx, n, output, asked) for n, output in enumerate(tx.outputs)]}
        head = orjson.dumps(body | _place(chain, tx))[:-1] + b',"confirmations":'
        halves = head, b"," + orjson.dumps(_sums(chain, tx) | {"hex": raw_hex(tx)})[1:]
        tx.rendered[asked] = halves
    return halves


def _place(chain: Chain, tx: Tx) -> dict[str, Any]:
    if tx.height <= 0:
        return {"blockHeight": -1}
    return {"blockHash": chain.hash(tx.height), "blockHeight": tx.height}


def _sums(chain: Chain, tx: Tx) -> dict[str, Any]:
    paid, spent = sum(o.sat for o in tx.outputs), sum(i.sat for i in tx.inputs)
    seen = chain.time(tx.height if tx.height > 0 else chain.tip)
    found: dict[str, Any] = {"blockTime": seen, "size": len(raw_hex(tx)) // 2, "value": str(paid)}
    return found | {"valueIn": str(spent), "fees": str(max(0, spent - paid))}


def _vin(n: int, item: Input, asked: str) -> dict[str, Any]:
    if item.coinbase:
        return {"sequence": SEQUENCE, "n": n, "isAddress": False, "coinbase": "03b2ba2d00"}
    found: dict[str, Any] = {"txid": item.txid}
    if item.vout:
        found["vout"] = item.vout
    found |= {"sequence": SEQUENCE, "n": n}
    if item.address and item.told:
        found |= {"addresses": [item.address], "isAddress": True}
        if item.address == asked:
            found["isOwn"] = True
    else:
        found["isAddress"] = False
    return found | {"value": str(item.sat), "hex": signature_of(item)}


def _vout(chain: Chain, tx: Tx, n: int, output: Output, asked: str) -> dict[str, Any]:
    found: dict[str, Any] = {"value": str(output.sat), "n": n}
    if output.address and chain.start - tx.height > OLD_ENOUGH and int(tx.txid[n % 64], 16) < 9:
        found["spent"] = True
    found |= {"hex": script_of(output), "addresses": _names(output), "isAddress": output.address is not None}
    if output.address == asked:
        found["isOwn"] = True
    return found


def _names(output: Output) -> list[str] | None:
    if output.address:
        return [output.address]
    return None if output.data is None else [op_return_name(output.data)]


def op_return_name(data: bytes) -> str:
    """How Blockbook writes an OP_RETURN: the text in brackets, or hex without them."""
    try:
        return f"OP_RETURN ({data.decode()})"
    except UnicodeDecodeError:
        return f"OP_RETURN {data.hex()}"


def blockbook_light(chain: Chain, tx: Tx, asked: str, tip: int) -> dict[str, Any]:
    """What `details=txslight` and `/block` give: from the index, without scripts."""
    vin = [{k: v for k, v in _vin(n, i, asked).items() if k in LIGHT_VIN} for n, i in enumerate(tx.inputs)]
    vout = [{k: v for k, v in _vout(chain, tx, n, o, asked).items() if k != "hex"} for n, o in enumerate(tx.outputs)]
    sums = _sums(chain, tx)
    del sums["size"]
    head = {"txid": tx.txid, "vin": [{"value": "0"} | item for item in vin], "vout": vout}
    return head | _place(chain, tx) | {"confirmations": confirmations(chain, tx, tip)} | sums


LIGHT_VIN = {"n", "addresses", "isAddress", "isOwn", "value"}


# The daemon


def daemon_tx(chain: Chain, tx: Tx, *, spent_index: bool, tip: int) -> dict[str, Any]:
    """`getrawtransaction/<txid>/1`; without a spent index the node does not name senders."""
    found: dict[str, Any] = {"hex": raw_hex(tx), "txid": tx.txid, "version": tx.version}
    found |= {"overwintered": True, "versiongroupid": "892f2085", "locktime": 0}
    found |= {"expiryheight": max(tx.height, 0) + 59}
    found["vin"] = [_daemon_vin(item, spent_index) for item in tx.inputs]
    found["vout"] = [_daemon_vout(n, output) for n, output in enumerate(tx.outputs)]
    found |= {"vJoinSplit": [], "valueBalance": 0, "valueBalanceZat": 0}
    found |= {"vShieldedSpend": [], "vShieldedOutput": []}
    if tx.height <= 0:
        return found | {"confirmations": 0}
    seen = chain.time(tx.height)
    found |= {"blockhash": chain.hash(tx.height), "height": tx.height}
    return found | {"confirmations": confirmations(chain, tx, tip), "time": seen, "blocktime": seen}


def _daemon_vin(item: Input, spent_index: bool) -> dict[str, Any]:
    if item.coinbase:
        return {"coinbase": "03b2ba2d00", "sequence": SEQUENCE}
    code = signature_of(item)
    asm = f"{code[2:142]}[ALL] {code[-66:]}"
    found: dict[str, Any] = {"txid": item.txid, "vout": item.vout, "scriptSig": {"asm": asm, "hex": code}}
    if spent_index and item.told and item.address:
        found |= {"value": item.sat / 1e8, "valueSat": item.sat, "address": item.address}
    return found | {"sequence": SEQUENCE}


def _daemon_vout(n: int, output: Output) -> dict[str, Any]:
    value = {"value": output.sat / 1e8, "valueZat": output.sat, "valueSat": output.sat, "n": n}
    return value | {"scriptPubKey": _script_pub_key(output)}


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
