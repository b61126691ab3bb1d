"""Pages of a list, with their addresses."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.payments_query import LIMITS, Asked
from fluxtracker import figures


@dataclass(frozen=True, slots=True)
class Pager:
    """Where a page stands in the list. An empty address: there is no such page."""

    page: int
    pages: int
    total: int
    offset: int
    last_row: int
    first: str
    previous: str
    next: str
    last: str
    limits: tuple[tuple[int, str], ...]
    hidden: tuple[tuple[str, str], ...]
    past_end: str
    """What to say to who asked for a page that is not there."""

    @property
    def first_row(self) -> int:
        return self.offset + 1 if self.total else 0


def pager(asked: Asked, total: int) -> Pager:
    """The page asked for; the last one when there are not so many."""
    pages = max(-(-total // asked.limit), 1)
    page = min(asked.page, pages)
    offset = (page - 1) * asked.limit

    def to(number: int) -> str:
        return asked.link({"page": str(number)}) if 1 <= number <= pages and number != page else ""

    return Pager(
        page=page,
        pages=pages,
        total=total,
        offset=offset,
        last_row=min(offset + asked.limit, total),
        first=to(1),
        previous=to(page - 1),
        next=to(page + 1),
        last=to(pages),
        limits=tuple((limit, asked.link({"limit": str(limit)})) for limit in LIMITS),
        hidden=tuple(asked.hidden("page")),
        past_end=f"There {_pages(pages)}; this is the last." if asked.page > pages else "",
    )


def _pages(count: int) -> str:
    return f"{'is' if count == 1 else 'are'} {figures.plural(count, 'page')}"
