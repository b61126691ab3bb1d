"""Which outputs are revenue, worked out from the chain and the contract's words alone.

Nothing here is shared with the production code: it is what that code is held against.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from fluxtracker.simnet import addresses as a
from fluxtracker.simnet.catalogue import Catalogue
from fluxtracker.simnet.history import Plan, transactions
from fluxtracker.simnet.records import TruthRow, Tx

HASH = re.compile(rb"[0-9a-fA-F]{64}")


def sender(tx: Tx) -> str | None:
    """The owner of the first input. None where it has none, or there is no input."""
    return tx.inputs[0].address if tx.inputs else None


def is_sender_known(tx: Tx) -> bool:
    """Whether the sources tell the owner of the first input, or the transaction that it spends."""
    return not tx.inputs or tx.inputs[0].found or (tx.inputs[0].told and tx.inputs[0].address is not None)


def message_hash(tx: Tx) -> str:
    """The 64 hex characters of the last output with a script, where that is an OP_RETURN; else nothing."""
    last = next((o for o in reversed(tx.outputs) if o.script != ""), None)
    data = last.data if last and last.data is not None and 1 <= tx.version <= 4 else b""
    return data.decode().lower() if HASH.fullmatch(data) else ""


def rows_of(tx: Tx, tracked: Mapping[str, int]) -> Iterator[TruthRow]:
    """The outputs of one transaction that count as revenue."""
    if any(i.coinbase for i in tx.inputs):
        return
    payer = sender(tx)
    if payer in tracked or not is_sender_known(tx):
        return
    for number, output in enumerate(tx.outputs):
        first = tracked.get(output.address or "")
        if first is None or tx.height < first or output.address is None:
            continue
        if payer == a.DEVELOPMENT and output.sat == a.FREE_FEE_SAT:
            continue
        yield TruthRow(tx.txid, number, output.address, output.sat, tx.height, payer, message_hash(tx))


def rows(txs: Iterable[Tx], tracked: Mapping[str, int], *, tip: int, min_confirmations: int) -> list[TruthRow]:
    """What the ledger should hold, by height, transaction and output."""
    found = [row for tx in txs if tip - tx.height + 1 >= min_confirmations > 0 for row in rows_of(tx, tracked)]
    return sorted(found, key=lambda row: (row.height, row.txid, row.vout))


def stream(plan: Plan, tracked: Mapping[str, int] = a.TRACKED) -> Iterator[TruthRow]:
    """The rows of a past that is never kept in memory: for benchmarks with a million of them."""
    for tx in transactions(plan, Catalogue(plan.seed)):
        yield from rows_of(tx, tracked)
