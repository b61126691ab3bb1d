"""What the ledger asks of a source of the chain: Blockbook and the daemon both answer this."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fluxtracker.upstream.records import Block, ChainTx, Listing, Tip


class ChainSource(Protocol):
    """A source of blocks and transactions. Each call raises an UpstreamError where it has no good answer."""

    name: str
    host: str

    def tip(self) -> Tip: ...

    def block_hash(self, height: int) -> str: ...

    def block(self, height: int) -> Block: ...

    def total(self, address: str) -> int | None: ...

    def listing(self, address: str, low: int, high: int) -> Listing: ...

    def transaction(self, txid: str) -> ChainTx: ...


@runtime_checkable
class TxidIndex(Protocol):
    """A source with an address index of its own that lists bare txids cheaply: the second opinion."""

    def tip(self) -> Tip: ...

    def block_hash(self, height: int) -> str: ...

    def txids(self, address: str, low: int, high: int) -> list[str]: ...
