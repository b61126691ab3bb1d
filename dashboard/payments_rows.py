"""Payments as the panel lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dashboard.payments_words import TYPES, WALLETS, Word, unnamed, when_again
from fluxtracker import figures
from revenue import pages
from revenue.explorer import transaction_url
from revenue.models import Message

Asking = tuple[int, datetime | None]  # how often a message was asked for, and when it is again


@dataclass(frozen=True, slots=True)
class Row:
    """One payment. `why` is set where nobody knows its app."""

    id: int
    txid: str
    url: str
    paid_at: datetime
    sender: str | None
    wallet: Word | None
    app: str | None
    app_type: Word | None
    why: Word | None
    why_now: str
    address: str
    height: int
    amount_sat: int
    usd_micro: int | None

    @property
    def why_no_usd(self) -> str:
        return f"No price for {figures.day(self.paid_at)} yet."

    @property
    def key_sender(self) -> str:
        return f"sender-{self.id}"

    @property
    def key_usd(self) -> str:
        return f"usd-{self.id}"


def listed(found: Sequence[pages.Row]) -> list[Row]:
    """From columns to what is shown. At most one query."""
    columns = [dict(zip(pages.COLUMNS, row, strict=True)) for row in found]
    hashes = {row["message_hash"] for row in columns if row["app__name"] is None and row["message_hash"]}
    messages = Message.objects.filter(hash__in=hashes).values_list("hash", "attempts", "next_attempt_at")
    asking = {key: (attempts, again) for key, attempts, again in messages} if hashes else {}
    return [_row(row, asking.get(row["message_hash"], (0, None))) for row in columns]


def words(rows: Iterable[Row]) -> list[Word]:
    """Every short word among the rows, once."""
    found = [word for row in rows for word in (row.why, row.wallet, row.app_type)]
    return list(dict.fromkeys(word for word in found if word is not None))


def _row(row: Mapping[str, Any], asking: Asking) -> Row:
    attempts, again_at = asking
    why = unnamed(row["kind"], attempts) if row["app__name"] is None else None
    return Row(
        id=row["id"],
        txid=row["txid"],
        url=transaction_url(row["txid"]),
        paid_at=row["paid_at"],
        sender=row["from_address"],
        wallet=WALLETS.get(row["from_address"] or ""),
        app=row["app__name"],
        app_type=TYPES.get(row["app_type"]) if row["app__name"] is not None else None,
        why=why,
        why_now=when_again(why, again_at) if why else "",
        address=row["address"],
        height=row["height"],
        amount_sat=row["amount_sat"],
        usd_micro=row["usd_micro"],
    )
