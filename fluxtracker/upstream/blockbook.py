"""Blockbook v2, the first source of the chain (docs/upstream.md#blockbook)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fluxtracker.upstream.blockbook_listing import ListingReader
from fluxtracker.upstream.blockbook_tx import parsed_tx
from fluxtracker.upstream.blocks import parsed_block
from fluxtracker.upstream.body import TimedOut, TooLarge
from fluxtracker.upstream.errors import BadAnswer, NotFound
from fluxtracker.upstream.http import MAX_BYTES, SMALL, Http
from fluxtracker.upstream.outcome import Rejected
from fluxtracker.upstream.records import Block, ChainTx, Listing, Tip
from fluxtracker.upstream.wire import MAX_HEIGHT, MAX_TOTAL, WRONG_SHAPE, brief, is_hash, whole

PAGE_SIZE = 1000  # the most a Blockbook gives
SMALL_PAGE_SIZE = 250  # after a page of 1000 was too slow or too large


class Blockbook:
    """One Blockbook instance."""

    name = "blockbook"

    def __init__(self, http: Http, base_url: str) -> None:
        self.host = urlsplit(base_url).netloc.rpartition("@")[2]
        self._http = http
        self._base = base_url.rstrip("/")
        self._page_size = PAGE_SIZE

    def __repr__(self) -> str:
        return f"<Blockbook {self.host}>"

    def tip(self) -> Tip:
        """The last block it has indexed. One request when its backend stands at the same block."""
        answer = self._object("", max_bytes=SMALL)
        try:
            height, known_hash, behind = _best_block(answer)
        except WRONG_SHAPE as error:
            raise self._bad("", f"its status is not usable ({error})") from None
        return Tip(height, known_hash or self.block_hash(height), self.host, behind)

    def block_hash(self, height: int) -> str:
        """The hash of the block at a height. NotFound past the tip."""
        path = f"/block-index/{height}"
        found = self._object(path, absent_when_rejected=True, max_bytes=SMALL).get("blockHash")
        if not found:
            raise NotFound(self.host, self._where(path), "no such block")
        if not isinstance(found, str) or not is_hash(found):
            raise self._bad(path, "its block hash is not 64 hex digits")
        return found

    def block(self, height: int) -> Block:
        """Return the block at a height. NotFound past the tip."""
        path = f"/block/{height}"
        answer = self._object(path)
        try:
            found = parsed_block(answer)
        except WRONG_SHAPE as error:
            raise self._bad(path, f"its block is not usable ({error})") from None
        if found.height != height:
            raise self._bad(path, f"it answers block {found.height}")
        return found

    def total(self, address: str) -> int:
        """Transactions of the address over its whole history."""
        path = f"/address/{address}"
        answer = self._object(path, {"details": "basic"}, max_bytes=SMALL)
        if answer.get("address") != address:
            raise self._bad(path, "it answers for another address")
        try:
            return whole(answer.get("txs", 0), "txs", 0, MAX_TOTAL)
        except ValueError as error:
            raise self._bad(path, str(error)) from None

    def transaction(self, txid: str) -> ChainTx:
        """One transaction. NotFound when the chain does not have it."""
        path = f"/tx/{txid}"
        answer = self._object(path)
        try:
            found = parsed_tx(answer)
        except WRONG_SHAPE as error:
            raise self._bad(path, f"its transaction is not usable ({error})") from None
        if found.txid != txid:
            raise self._bad(path, "it answers another transaction")
        return found

    def listing(self, address: str, low: int, high: int) -> Listing:
        """All transactions of the address in blocks `low` to `high`, or to a lower `high` where they are many."""
        try:
            return self._reader(address).read(low, high)
        except (TimedOut, TooLarge):
            if self._page_size == SMALL_PAGE_SIZE:
                raise
            self._page_size = SMALL_PAGE_SIZE
        return self._reader(address).read(low, high)

    def _reader(self, address: str) -> ListingReader:
        path = f"/address/{address}"
        return ListingReader(
            address,
            self._page_size,
            lambda params: self._object(path, params, patient=False),
            lambda detail: self._bad(path, detail),
        )

    def _object(
        self,
        path: str,
        params: dict[str, str | int] | None = None,
        *,
        absent_when_rejected: bool = False,
        patient: bool = True,
        max_bytes: int = MAX_BYTES,
    ) -> dict[str, Any]:
        url = self._base + path
        try:
            answer = self._http.get_json(url, params, max_bytes=max_bytes, endpoint=self._base, patient=patient)
        except Rejected as error:
            if error.status == 400 and (absent_when_rejected or "not found" in error.message.lower()):
                raise NotFound(error.source, error.where, error.detail) from None
            raise
        if not isinstance(answer, dict):
            raise self._bad(path, "the answer is not an object")
        if "error" in answer:
            raise self._bad(path, f"an error inside a success: {brief(answer['error'])}")
        return answer

    def _where(self, path: str) -> str:
        return urlsplit(self._base + path).path or "/"

    def _bad(self, path: str, detail: str) -> BadAnswer:
        return BadAnswer(self.host, self._where(path), detail)


def _best_block(answer: dict[str, Any]) -> tuple[int, str | None, int]:
    """Height of the best block, its hash, None where the backend stands at another block, and how far that is ahead.

    `inSync` is no sign: it goes false with every new block. `initialSync` means an index that is not built yet.
    """
    status, backend = answer["blockbook"], answer.get("backend") or {}
    if status.get("initialSync"):
        raise ValueError("its first synchronisation is not done")
    height = whole(status["bestHeight"], "bestHeight", 1, MAX_HEIGHT)
    found = backend.get("bestBlockHash")
    node = backend.get("blocks")
    ahead = node - height if isinstance(node, int) else 0
    same = node == height and isinstance(found, str) and is_hash(found)
    return height, found if same else None, max(ahead, 0)
