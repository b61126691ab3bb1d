"""What a database says of itself when it fails, without what it was told: no statement, no values."""

from __future__ import annotations

import re

MOST = 300  # characters
REST = re.compile(r"\n|\b(?:LINE \d+|DETAIL|CONTEXT|HINT|STATEMENT|QUERY):")  # PostgreSQL quotes from here on
QUOTED = re.compile(r'"([^"]*)"')
NAME = re.compile(r"[\w.:-]{1,63}")  # of a table, a column, a user, a server


def database_words(error: BaseException) -> str:
    """Its kind in one line, for logs and for whoever runs a command. Never for the public: it names tables."""
    first = REST.split(str(error).strip(), maxsplit=1)[0]
    words = " ".join(QUOTED.sub(_name_alone, first).split()).rstrip(" ;,")
    return (words or type(error).__name__)[:MOST]


def _name_alone(quoted: re.Match[str]) -> str:
    return quoted[0] if NAME.fullmatch(quoted[1]) else '"..."'
