"""The stored answers of the real services."""

from pathlib import Path
from typing import Any

import orjson

FOLDER = Path(__file__).resolve().parent.parent / "payloads"


def payload(name: str) -> Any:
    """A parsed answer, a new one each time."""
    return orjson.loads((FOLDER / f"{name}.json").read_bytes())
