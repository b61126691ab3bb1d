"""Describe payments for the panel's list and legend (docs/upstream.md#app-payments)."""

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
    """A short term in the list, and a sentence that explains it."""

    short: str
    meaning: str


WALLETS: Mapping[str, Word] = {
    CARD: Word("card gateway", "Customers who pay by card: the gateway buys FLUX and pays for them from this wallet."),
    TEAM: Word("Flux team", "The Flux team's own wallet: what it pays is not a customer's money."),
    FREE_CHANGE_SENDER: Word(
        "development",
        "The development wallet. Its 0.02 FLUX for free changes are not counted, so listed payments are larger.",
    ),
}
PLAIN = Word("plain transfer", "A transfer to the address without a message: it names no app, and is counted.")
FLUXDRIVE = Word("FluxDrive", "A payment for storage on FluxDrive: it belongs to no app.")
UNREAD = Word(
    "name not read yet",
    "The payment names its app by the hash of a message, which is requested after the next sync.",
)
MISSING = Word(
    "app name pending",
    "The payment names its app by the hash of a message that no node knows yet. It is requested again, "
    "with growing pauses; some messages never come.",
)
GIT = Word("git", "The app was deployed from a git repository.")
DOCKER = Word("docker", "The app was deployed from a Docker image; encrypted apps count as such.")
TYPES: Mapping[str, Word] = {"git": GIT, "docker": DOCKER}


def unnamed(kind: str, attempts: int) -> Word:
    """Return why a payment has no app. `attempts`: how often its message was requested."""
    if kind == Payment.Kind.FLUXDRIVE:
        return FLUXDRIVE
    if kind == Payment.Kind.PLAIN:
        return PLAIN
    return MISSING if attempts else UNREAD


def when_again(word: Word, again_at: datetime | None) -> str:
    """Return the meaning for one payment, with the time of the next request for its message."""
    if word is MISSING and again_at is not None:
        return f"{word.meaning} Next: {formatting.moment(again_at)}."
    return word.meaning


def listed(payments: Sequence[pagination.Row]) -> list[dict[str, Any]]:
    """Return each payment's columns and its descriptions. At most one query."""
    rows = [dict(row) for row in payments]
    hashes = {row["message_hash"] for row in rows if row["app__name"] is None and row["message_hash"]}
    messages = Message.objects.filter(hash__in=hashes).values_list("hash", "attempts", "next_attempt_at")
    attempts = {key: (count, again_at) for key, count, again_at in messages} if hashes else {}
    for row in rows:
        app = row["app__name"]
        count, again_at = attempts.get(row["message_hash"], (0, None))
        why = unnamed(row["kind"], count) if app is None else None
        row |= {
            "id": str(row["id"]),  # used seven times per row, and templates format numbers
            "app": app,
            "type": TYPES.get(row["app_type"]) if app is not None else None,
            "why": why,
            "why_now": when_again(why, again_at) if why else "",
            "url": transaction_url(row["txid"]),
            "wallet": WALLETS.get(row["from_address"] or ""),
            "why_no_usd": f"No price for {formatting.day(row['paid_at'])} yet.",
        }
    return rows


def words(rows: Iterable[Mapping[str, Any]]) -> list[Word]:
    """Return every short term in the rows, once."""
    terms = [row[key] for row in rows for key in ("why", "wallet", "type")]
    return list(dict.fromkeys(word for word in terms if word is not None))
