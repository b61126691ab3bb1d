"""A page of a list: its rows, and where it stands in the whole."""

from __future__ import annotations

from typing import Any


def page_of(key: str, rows: list[dict[str, Any]], *, total: int, page: int, limit: int) -> dict[str, Any]:
    """The answer for one page. `total` counts every matching row, whatever the page."""
    return {key: rows, "total": total, "page": page, "limit": limit, "totalPages": -(-total // limit)}
