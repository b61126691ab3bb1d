"""What a database says of itself when it fails, without what it was told: no statement, no values."""

from __future__ import annotations

import os
import re
from pathlib import Path

UNUSABLE = ("unable to open", "readonly database", "disk is full", "disk I/O", "not a database")  # as SQLite says it
MOST = 300  # characters
REST = re.compile(r"\n|\b(?:LINE \d+|DETAIL|CONTEXT|HINT|STATEMENT|QUERY):")  # PostgreSQL quotes from here on
QUOTED = re.compile(r'"([^"]*)"')
NAME = re.compile(r"[\w.:-]{1,63}")  # of a table, a column, a user, a server


def database_words(error: BaseException) -> str:
    """Its kind in one line, for logs and for whoever runs a command. Never for the public: it names tables."""
    first = REST.split(str(error).strip(), maxsplit=1)[0]
    words = " ".join(QUOTED.sub(_name_alone, first).split()).rstrip(" ;,")
    return (words + _place(words) or type(error).__name__)[:MOST]


def _place(words: str) -> str:
    """What SQLite does not say of a file that it cannot use: which one, why, and what names it."""
    from django.db import connection  # settings are read by some that only want this module's words

    if connection.vendor != "sqlite" or not any(sign in words for sign in UNUSABLE):
        return ""
    path = Path(str(connection.settings_dict["NAME"]))
    return f": {_trouble(path)}; FLUXTRACKER_DATA_DIR, or DATABASE_URL, says where it is"


def _trouble(path: Path) -> str:
    if not path.parent.exists():
        return f"there is no folder {path.parent}"
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    if path.is_dir():
        return f"{path} is a folder"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"the folder {path.parent} cannot be written"
    return str(path)


def _name_alone(quoted: re.Match[str]) -> str:
    return quoted[0] if NAME.fullmatch(quoted[1]) else '"..."'
