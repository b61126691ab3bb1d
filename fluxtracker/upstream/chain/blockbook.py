"""Read the chain from Blockbook v2, the first source (docs/upstream.md#blockbook-addresses).

Pages come newest first and never empty, so after a full page the next request is for the blocks below it. Only a
block that fills a page alone is read by page number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import structlog

from fluxtracker.upstream.chain.transactions import ChainUpstream, blockbook_tx
from fluxtracker.upstream.http.client import SMALL, Http, Params, Rejected
from fluxtracker.upstream.http.errors import BadAnswer, NotFound
from fluxtracker.upstream.http.limits import TimedOut, TooLarge
from fluxtracker.upstream.parsing import MAX_HEIGHT, MAX_TOTAL, WRONG_SHAPE, brief, instant, is_hash, or_none, whole
from fluxtracker.upstream.records import ChainTx, Listing, Newest, Tip, Unreadable

log = structlog.get_logger(__name__)

MANY_PAGES = 4  # a window that seems larger is narrowed instead of walked
MOST_PAGES = 12  # of one window, if it seemed smaller
FILL = 0.8  # of a page, that a narrowed window should hold
STEEPEST = 16  # a narrowed window keeps at least this part of its blocks: the older ones may be empty


@dataclass(slots=True)
class Page:
    """One validated answer. `lowest` is the lowest block among its rows, None if no row reports one."""

    transactions: list[ChainTx] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    rows: int = 0
    full: bool = False
    number: int = 1
    lowest: int | None = None
    total: int | None = None


@dataclass(slots=True)
class Window:
    """Transactions of a window read so far, each once."""

    transactions: dict[str, ChainTx] = field(default_factory=dict)
    unreadable: dict[str, Unreadable] = field(default_factory=dict)
    pages: int = 0
    total: int | None = None

    def add(self, page: Page) -> bool:
        """Add a page; return whether it has anything new."""
        before = len(self.transactions) + len(self.unreadable)
        self.transactions.update((tx.txid, tx) for tx in page.transactions)
        self.unreadable.update((row.txid, row) for row in page.unreadable)
        if not self.pages:
            self.total = page.total
        self.pages += 1
        return len(self.transactions) + len(self.unreadable) > before


@dataclass(frozen=True, slots=True)
class ListingReader:
    """Reads the windows of one address, `size` rows per page."""

    source: Blockbook
    address: str
    size: int

    def ask(self, params: Params) -> dict[str, Any]:
        return self.source.answer(f"/address/{self.address}", params, patient=False)

    def bad(self, detail: str) -> BadAnswer:
        return self.source.bad(f"/address/{self.address}", detail)

    def read(self, low: int, high: int) -> Listing:
        """Return the window from `low` to `high`, or to a lower `high` if it has many pages."""
        window, to = Window(), high
        while True:
            page = self._page(low, to)
            window.add(page)
            if not page.full:
                break
            if page.lowest is None:
                raise self.bad("a full page in which no row tells its block")
            span = to - page.lowest + 1
            if low < high and self._is_too_much(window, page.rows, span, to - low + 1):
                high = to = low + _narrowed(span, high - low + 1) - 1
                window = Window()
            elif page.lowest < to:
                to = page.lowest
            else:
                self._read_block(window, to)
                to -= 1
                if to < low:
                    break
        for txid in window.transactions.keys() & window.unreadable.keys():
            del window.unreadable[txid]
        transactions, unreadable = tuple(window.transactions.values()), tuple(window.unreadable.values())
        return Listing(self.address, low, high, transactions, unreadable, window.total)

    def _is_too_much(self, window: Window, rows: int, span: int, blocks: int) -> bool:
        """Return whether `blocks` blocks have too many pages, given `rows` rows in `span` blocks on the last page."""
        if window.pages > 1:
            return window.pages >= MOST_PAGES
        return rows * blocks > MANY_PAGES * self.size * span

    def _read_block(self, window: Window, height: int) -> None:
        """Read further pages of one block that fills more than a page."""
        number = 2
        while True:
            page = self._page(height, height, number)
            if page.number != number:  # past the end: the last page was repeated
                return
            if not window.add(page):
                raise self.bad(f"page {number} repeats what came before")
            if not page.full:
                return
            number += 1

    def newest(self, low: int) -> Newest:
        """Return the first page from block `low` on. Without `to`, the mempool comes first."""
        answer, rows = self._answered({"page": 1, "pageSize": self.size, "from": low})
        transactions: dict[str, ChainTx] = {}
        unreadable = 0
        for row in rows:
            try:
                tx = blockbook_tx(row)
            except WRONG_SHAPE:
                unreadable += 1
                continue
            if 0 < tx.height < low:
                raise self.bad(f"a transaction of block {tx.height} in the blocks from {low} on")
            transactions[tx.txid] = tx
        return Newest(tuple(transactions.values()), unreadable, self._checked(answer, rows, 1).full)

    def _answered(self, query: Params) -> tuple[dict[str, Any], list[Any]]:
        """Return a page and its rows."""
        answer = self.ask({**query, "details": "txs"})
        if answer.get("address") != self.address:
            raise self.bad("it answers for another address")
        rows = answer.get("transactions")
        if rows is None and not answer.get("txids"):
            rows = []
        if not isinstance(rows, list):
            raise self.bad("no list of transactions")
        return answer, rows

    def _page(self, low: int, to: int, number: int = 1) -> Page:
        query: Params = {"page": number, "pageSize": self.size, "from": low, "to": to}
        answer, rows = self._answered(query)
        page = self._checked(answer, rows, number)
        nameless = self._fill(page, rows, low, to)
        if nameless:
            self._identify_rows(page, query, nameless)
        return page

    def _checked(self, answer: dict[str, Any], rows: list[Any], number: int) -> Page:
        """Return the page's number, whether more may follow, and the address's count."""
        total = answer.get("txs", None if rows else 0)
        page = Page(rows=len(rows), total=total if type(total) is int and 0 <= total <= MAX_TOTAL else None)
        if not rows:
            return page
        page.number = answer.get("page", number)
        if type(page.number) is not int or (number == 1 and page.number != 1):
            raise self.bad(f"page {brief(page.number)} instead of page {number}")
        size, pages = answer.get("itemsOnPage"), answer.get("totalPages")
        most = min(self.size, size) if type(size) is int and size > 0 else self.size
        page.full = len(rows) >= most or (type(pages) is int and pages > page.number)
        return page

    def _fill(self, page: Page, rows: list[Any], low: int, to: int) -> int:
        """Read the rows into the page; return how many have no transaction id."""
        nameless = 0
        last = to
        for row in rows:
            try:
                tx = blockbook_tx(row)
            except WRONG_SHAPE as error:
                unreadable = _unreadable(row, error, low, to)
                if unreadable is None:
                    nameless += 1
                else:
                    page.unreadable.append(unreadable)
                continue
            if tx.height <= 0:  # in the mempool
                continue
            if not low <= tx.height <= to:
                raise self.bad(f"a transaction of block {tx.height} in the blocks {low} to {to}")
            if tx.height > last:
                raise self.bad("the transactions are not newest first")
            last = tx.height
            page.transactions.append(tx)
        if page.total is not None and page.total < len(page.transactions) + len(page.unreadable):
            raise self.bad(f"counts {page.total} transactions and lists more")
        heights = [row.height for row in page.unreadable if row.height is not None]
        if page.transactions:
            heights.append(page.transactions[-1].height)
        page.lowest = min(heights, default=None)
        return nameless

    def _identify_rows(self, page: Page, query: Params, nameless: int) -> None:
        """Identify rows without a usable id by the same page as a list of ids."""
        ids = self.ask({**query, "details": "txids"}).get("txids")
        if not isinstance(ids, list):
            raise self.bad("no list of ids")
        known = {tx.txid for tx in page.transactions} | {row.txid for row in page.unreadable}
        missing = [txid for txid in ids if isinstance(txid, str) and is_hash(txid) and txid not in known]
        if len(missing) < nameless:
            log.warning("rows_without_id", address=self.address, rows=nameless - len(missing))
        page.unreadable += [Unreadable(txid, None, "its row tells no usable id") for txid in missing]


def _narrowed(span: int, blocks: int) -> int:
    """Return how many of a window's blocks to request, if a full page spanned `span` of them."""
    return min(max(int(span * FILL), blocks // STEEPEST, 1), blocks // 2)


def _unreadable(row: Any, error: Exception, low: int, to: int) -> Unreadable | None:
    txid = row.get("txid") if isinstance(row, dict) else None
    if not isinstance(txid, str) or not is_hash(txid):
        return None
    height = row.get("blockHeight")
    inside = type(height) is int and low <= height <= to
    detail = f"{type(error).__name__}: {error}"[:200]
    return Unreadable(txid, height if inside else None, detail, or_none(instant, row.get("blockTime"), "the time"))


PAGE_SIZE = 1000  # a Blockbook's maximum
FEW = 50  # transactions requested every minute, at most 150 KB
SMALL_PAGE_SIZE = 250  # after a page of 1000 was too slow or too large


class Blockbook(ChainUpstream):
    """One Blockbook instance."""

    name = "blockbook"
    block_path, tx_path = "/block/{}", "/tx/{}"
    read_tx = staticmethod(blockbook_tx)

    def __init__(self, http: Http, base_url: str) -> None:
        super().__init__(http, base_url)
        self._page_size = PAGE_SIZE

    def tip(self) -> Tip:
        """Return the last indexed block. One request if its backend is at the same block."""
        answer = self.answer("", max_bytes=SMALL)
        try:
            height, known_hash, behind = _best_block(answer)
        except WRONG_SHAPE as error:
            raise self.bad("", f"its status is not usable ({error})") from None
        return Tip(height, known_hash or self.block_hash(height), self.host, behind)

    def block_hash(self, height: int) -> str:
        """Return the hash of the block at a height. NotFound above the tip."""
        path = f"/block-index/{height}"
        try:
            value = self.answer(path, max_bytes=SMALL).get("blockHash")
        except Rejected as error:
            if error.status != 400:
                raise
            raise NotFound(error.source, error.where, error.detail) from None
        if not value:
            raise NotFound(self.host, self.where(path), "no such block")
        if not isinstance(value, str) or not is_hash(value):
            raise self.bad(path, "its block hash is not 64 hex digits")
        return value

    def total(self, address: str) -> int:
        """Return the address's number of transactions over its whole history."""
        path = f"/address/{address}"
        answer = self.answer(path, {"details": "basic"}, max_bytes=SMALL)
        if answer.get("address") != address:
            raise self.bad(path, "it answers for another address")
        try:
            return whole(answer.get("txs", 0), "txs", 0, MAX_TOTAL)
        except ValueError as error:
            raise self.bad(path, str(error)) from None

    def listing(self, address: str, low: int, high: int) -> Listing:
        """Return all transactions of the address in blocks `low` to `high`, or to a lower `high` if there are many."""
        try:
            return ListingReader(self, address, self._page_size).read(low, high)
        except (TimedOut, TooLarge):
            if self._page_size == SMALL_PAGE_SIZE:
                raise
            self._page_size = SMALL_PAGE_SIZE
        return ListingReader(self, address, self._page_size).read(low, high)

    def newest(self, address: str, low: int) -> Newest:
        """Return the address's newest transactions from block `low` on, including unconfirmed ones. One request."""
        return ListingReader(self, address, FEW).newest(low)

    def answer(self, path: str, params: Params | None = None, **options: Any) -> dict[str, Any]:
        """Return an answer that is an object without an error. NotFound if it says so."""
        try:
            answer = self.get(path, params, **options)
        except Rejected as error:
            if error.status == 400 and "not found" in error.message.lower():
                raise NotFound(error.source, error.where, error.detail) from None
            raise
        if not isinstance(answer, dict):
            raise self.bad(path, "the answer is not an object")
        if "error" in answer:
            raise self.bad(path, f"an error inside a success: {brief(answer['error'])}")
        return answer


def _best_block(answer: dict[str, Any]) -> tuple[int, str | None, int]:
    """Return height and hash of the best block (None if the backend is at another one), and the backend's lead.

    `inSync` proves nothing, as it turns false with every new block. `initialSync` means an incomplete index.
    """
    status, backend = answer["blockbook"], answer.get("backend") or {}
    if status.get("initialSync"):
        raise ValueError("its first synchronisation is not done")
    height = whole(status["bestHeight"], "bestHeight", 1, MAX_HEIGHT)
    best = backend.get("bestBlockHash")
    node = backend.get("blocks")
    ahead = node - height if isinstance(node, int) else 0
    same = node == height and isinstance(best, str) and is_hash(best)
    return height, best if same else None, max(ahead, 0)
