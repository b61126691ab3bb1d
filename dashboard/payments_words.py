"""What the words in the list of payments mean, and whose wallets are known (docs/upstream.md#app-payments)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fluxtracker import figures
from revenue.classify import FREE_CHANGE_SENDER
from revenue.models import Payment

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
    "message not known yet",
    "The payment names its app by the hash of a message that no node knows yet. It is asked for again, "
    "with growing pauses; some messages never come.",
)
GIT = Word("git", "The app was deployed from a git repository.")
DOCKER = Word("docker", "The app was deployed from a Docker image; encrypted apps count as such.")
TYPES: Mapping[str, Word] = {"git": GIT, "docker": DOCKER}


def unnamed(kind: str, attempts: int) -> Word:
    """Why a payment has no app. `attempts`: how often its message was asked for."""
    if kind == Payment.Kind.FLUXDRIVE:
        return FLUXDRIVE
    if kind == Payment.Kind.PLAIN:
        return PLAIN
    return MISSING if attempts else UNREAD


def when_again(word: Word, again_at: datetime | None) -> str:
    """The word's meaning for one payment: with the time at which its message is asked for again."""
    if word is MISSING and again_at is not None:
        return f"{word.meaning} Next: {figures.moment(again_at)}."
    return word.meaning
