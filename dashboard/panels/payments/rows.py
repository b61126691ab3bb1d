"""Describe payments as the panel lists them, with its legend (docs/upstream.md#app-payments)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fluxtracker import formatting
from revenue.models import Message, Payment
from revenue.payments import pagination
from revenue.selectors import transaction_url
from revenue.sync.classify import FREE_CHANGE_SENDER

CARD = "t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5"
TEAM = "t1gjUUxBpBeVC1sWwAFrtSsVCbSaFdZx8UY"


@dataclass(frozen=True, slots=True)
class Word:
    """A short word of the list, and a sentence that explains it."""

    short: str
    meaning: str


WALLETS: Mapping[str, Word] = {
    CARD: Word("card gateway", "Customers who pay by card: the gateway buys FLUX and pays for them from this wallet."),
    TEAM: Word("Flux team", "The Flux team's own wallet: what it pays is not a customer's money."),
    FREE_CHANGE_SENDER: Word(
        "development",
        "The development wallet. Its 0.02 FLUX for free changes are not counted; what is listed is more than that.",
    ),
}
PLAIN = Word("plain transfer", "A transfer to the address without a message: it names no app, and is counted.")
FLUXDRIVE = Word("FluxDrive", "A payment for storage on FluxDrive: it belongs to no app.")
UNREAD = Word(
    "name not read yet", "The payment names its app by the hash of a message, which is asked for after the next sync."
)
MISSING = Word(
    "app name pending",
    "The payment names its app by the hash of a message that no node knows yet. It is asked for again, "
    "with growing pauses; some messages never come.",
)
GIT = Word("git", "The app was deployed from a git repository.")
DOCKER = Word("docker", "The app was deployed from a Docker image; encrypted apps count as such.")
TYPES: Mapping[str, Word] = {"git": GIT, "docker": DOCKER}


def unnamed(kind: str, attempts: int) -> Word:
    """Return why a payment has no app. `attempts`: how often its message was asked for."""
    if kind == Payment.Kind.FLUXDRIVE:
        return FLUXDRIVE
    if kind == Payment.Kind.PLAIN:
        return PLAIN
    return MISSING if attempts else UNREAD


def when_again(word: Word, again_at: datetime | None) -> str:
    """Return the word's meaning for one payment: with the time at which its message is asked for again."""
    if word is MISSING and again_at is not None:
        return f"{word.meaning} Next: {formatting.moment(again_at)}."
    return word.meaning


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
        return f"No price for {formatting.day(self.paid_at)} yet."

    @property
    def key_sender(self) -> str:
        return f"sender-{self.id}"

    @property
    def key_usd(self) -> str:
        return f"usd-{self.id}"


def listed(found: Sequence[pagination.Row]) -> list[Row]:
    """Return the rows as the panel shows them. At most one query."""
    hashes = {row["message_hash"] for row in found if row["app__name"] is None and row["message_hash"]}
    messages = Message.objects.filter(hash__in=hashes).values_list("hash", "attempts", "next_attempt_at")
    asking = {key: (attempts, again) for key, attempts, again in messages} if hashes else {}
    return [_row(row, asking.get(row["message_hash"], (0, None))) for row in found]


def words(rows: Iterable[Row]) -> list[Word]:
    """Return every short word among the rows, once."""
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
