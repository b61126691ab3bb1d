"""Why an upstream told nothing, in a reader's words. Hosts, paths and codes stay in the log, the admin and the API."""

from __future__ import annotations

import re
from typing import Literal

Reason = Literal["silent", "doubted", "behind", "astray", "unusable"]  # doubted: not confirmed yet

SILENT = re.compile(
    r"no answer within|connection (refused|failed|broke)|name is not known|TLS failed|HTTP (5\d\d|408|429)\b"
    r"|too slowly|timed out|while reading|not asked: it failed before"
)  # as fluxtracker.upstream words it
BEHIND = re.compile(r"stands at block \d|height went backwards")  # as revenue.sync words it
ASTRAY = re.compile(r"is on another branch than|contradicts the ledger")  # as revenue.proof words it
DOUBTED = "implausible: "  # as metrics.sources words it
SHORT: dict[Reason, str] = {
    "silent": "did not answer",
    "doubted": "gave numbers that are not confirmed yet",
    "behind": "was behind the chain",
    "astray": "followed another branch of the chain",
    "unusable": "gave an answer that could not be used",
}
LONG: dict[Reason, str] = {
    "silent": "has not answered",
    "doubted": "has given no confirmed numbers",
    "behind": "has been behind the chain",
    "astray": "has followed another branch of the chain",
    "unusable": "has given no answer that could be used",
}


def reason(error: str) -> Reason:
    """What an error that was noted down means."""
    if error.startswith(DOUBTED):
        return "doubted"
    if BEHIND.search(error):
        return "behind"
    if ASTRAY.search(error):
        return "astray"
    return "silent" if SILENT.search(error) else "unusable"


def once(error: str) -> str:
    """After who: of one try."""
    return SHORT[reason(error)]


def since(error: str) -> str:
    """After who and before since when."""
    return LONG[reason(error)]
