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
    """Who pays: the first input with an address. None where there is none, or nobody can find out."""
    named = next((i.address for i in tx.inputs if i.address and i.told), None)
    return named or next((i.address for i in tx.inputs if i.address and i.found), None)


def message_hash(tx: Tx) -> str:
    """The 64 hex characters of the first OP_RETURN, else nothing."""
    data = next((o.data for o in tx.outputs if o.data is not None), b"")
    return data.decode().lower() if HASH.fullmatch(data) else ""


def rows_of(tx: Tx, tracked: Mapping[str, int]) -> Iterator[TruthRow]:
    """The outputs of one transaction that count as revenue."""
    if any(i.coinbase for i in tx.inputs):
        return
    payer = sender(tx)
    if payer in tracked or (payer is None and tx.inputs):
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
