"""Parse transactions, scripts and blocks of both chain sources, and request single ones.

FluxOS keeps one text per transaction; only the last output with a script counts (docs/upstream.md#app-payments).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, ClassVar

from fluxtracker.upstream.http.client import Upstream
from fluxtracker.upstream.parsing import MAX_SAT, WRONG_SHAPE, block_hash, instant, is_address, is_hash, satoshi, whole
from fluxtracker.upstream.records import Block, ChainTx, TxInput, TxOutput

OP_RETURN, PUSHDATA1, PUSHDATA2, PUSHDATA4 = 0x6A, 0x4C, 0x4D, 0x4E
SIZE_BYTES = {PUSHDATA1: 1, PUSHDATA2: 2, PUSHDATA4: 4}
TEXT_MARK = "OP_RETURN "
VERSIONS = range(1, 5)  # of transactions in which FluxOS looks for a message


def pushed_data(script: Any) -> bytes | None:
    """Return the data of an OP_RETURN script in hex, None if it is anything else, cut short or longer.

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
    """Return the data in the form of explorers: `OP_RETURN (text)` or `OP_RETURN <hex>`."""
    if not isinstance(text, str) or not text.startswith(TEXT_MARK):
        return None
    rest = text[len(TEXT_MARK) :]
    if rest.startswith("(") and rest.endswith(")") and len(rest) > 1:
        return rest[1:-1].encode(errors="replace")
    try:
        return bytes.fromhex(rest)
    except ValueError:
        return None


def message_in(version: object, scripts: Iterable[tuple[Any, Any]]) -> bytes | None:
    """Return the data of the last output with a script, if that is an OP_RETURN.

    `scripts` are pairs of hex and text, last output first. FluxOS reads only transactions of some versions; a missing
    version counts as a usual one.
    """
    if type(version) is int and version not in VERSIONS:
        return None
    script, text = next((pair for pair in scripts if any(pair)), (None, None))
    return pushed_data(script) if script else described_data(text)


def _identity(row: Any, height_key: str) -> tuple[str, int]:
    """Return txid and height, -1 in the mempool."""
    txid, height = row["txid"], row.get(height_key, -1)
    if not is_hash(txid):
        raise ValueError("the txid is not 64 hex digits")
    if type(height) is not int:
        raise ValueError("the block height is not a whole number")
    return txid, whole(height, "the block height") if height > 0 else -1


def blockbook_tx(row: Any) -> ChainTx:
    """Parse one. Raise KeyError, TypeError or ValueError if invalid (docs/upstream.md#blockbook-transactions)."""
    txid, height = _identity(row, "blockHeight")
    outputs = _numbered(row.get("vout"), "an output's n")
    scripts = ((vout.get("hex"), (vout.get("addresses") or [vout.get("asm")])[0]) for _, vout in reversed(outputs))
    return ChainTx(
        txid,
        height,
        block_hash(row.get("blockHash")),
        instant(row.get("blockTime"), "the block time"),
        whole(row.get("confirmations", 0), "confirmations"),
        tuple([_input(vin, _address) for _, vin in _numbered(row.get("vin"), "an input's n")]),
        tuple([TxOutput(n, satoshi(vout.get("value")), _address(vout)) for n, vout in outputs]),
        message_in(row.get("version"), scripts),
    )


def _numbered(sides: Any, what: str) -> list[tuple[int, Any]]:
    """Return the inputs or outputs with their numbers, sorted, as the list may be unordered."""
    numbered = [(whole(side.get("n", place), what), side) for place, side in enumerate(sides or ())]
    return sorted(numbered, key=itemgetter(0))


def _input(vin: Any, address: Callable[[Any], str | None]) -> TxInput:
    if vin.get("coinbase"):
        return TxInput(None, None, 0, coinbase=True)
    previous = vin.get("txid")
    previous = previous if isinstance(previous, str) and is_hash(previous) else None
    return TxInput(address(vin), previous, whole(vin.get("vout", 0), "an input's vout"))


def _address(side: Any) -> str | None:
    """Return the first address of an input or output; odd scripts have none or an invalid one."""
    addresses = side.get("addresses")
    if not addresses or side.get("isAddress") is False:
        return None
    first = addresses[0]
    return first if is_address(first) else None


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def daemon_tx(row: Any) -> ChainTx:
    """Return one transaction. KeyError, TypeError or ValueError if it is invalid."""
    txid, height = _identity(row, "height")
    outputs = sorted(row.get("vout") or (), key=lambda vout: whole(vout["n"], "an output's n"))
    scripts = ((vout["scriptPubKey"].get("hex"), vout["scriptPubKey"].get("asm")) for vout in reversed(outputs))
    time = row.get("blocktime", row.get("time"))  # none in the mempool
    return ChainTx(
        txid,
        height,
        block_hash(row.get("blockhash")),
        EPOCH if time is None and height < 0 else instant(time, "the block time"),
        whole(row.get("confirmations", 0), "confirmations", -1),
        tuple([_input(vin, _input_address) for vin in row.get("vin") or ()]),
        tuple([_output(vout) for vout in outputs]),
        message_in(row.get("version"), scripts),
    )


def _input_address(side: Any) -> str | None:
    """Return the address of an input, present only if the node's index has it."""
    address = side.get("address")
    return address if isinstance(address, str) and is_address(address) else None


def _output(vout: Any) -> TxOutput:
    # docs/upstream.md#daemon: valueSat and valueZat are integers; `value` is a float and never used.
    value = vout["valueSat"] if "valueSat" in vout else vout["valueZat"]
    addresses = vout["scriptPubKey"].get("addresses")
    single = addresses[0] if isinstance(addresses, list) and len(addresses) == 1 else None
    address = single if isinstance(single, str) and is_address(single) else None
    return TxOutput(vout["n"], whole(value, "an amount in satoshi", 0, MAX_SAT), address)


class ChainUpstream(Upstream):
    """Base of both chain sources: requests single blocks and transactions."""

    block_path: ClassVar[str]
    tx_path: ClassVar[str]

    def answer(self, path: str) -> Any:
        """Return the data of an answer."""
        raise NotImplementedError

    @staticmethod
    def read_tx(row: Any) -> ChainTx:
        """Return the transaction of an answer. WRONG_SHAPE if it is invalid."""
        raise NotImplementedError

    def block(self, height: int) -> Block:
        """Return the block at a height, without its transactions. NotFound above the tip."""
        path = self.block_path.format(height)
        row = self.answer(path)
        try:
            block = Block(whole(row["height"], "height"), instant(row["time"], "time"), block_hash(row.get("hash")))
        except WRONG_SHAPE as error:
            raise self.bad(path, f"its block is not usable ({error})") from None
        if block.height != height:
            raise self.bad(path, f"it answers block {block.height}")
        return block

    def transaction(self, txid: str) -> ChainTx:
        """Return one transaction. NotFound if the chain does not have it."""
        path = self.tx_path.format(txid)
        row = self.answer(path)
        try:
            transaction = self.read_tx(row)
        except WRONG_SHAPE as error:
            raise self.bad(path, f"its transaction is not usable ({error})") from None
        if transaction.txid != txid:
            raise self.bad(path, "it answers another transaction")
        return transaction
