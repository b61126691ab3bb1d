"""Normalise Docker image names, so that all spellings become one name (docs/decisions/0026)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache

LONGEST = 255
LIBRARY = re.compile(r"\Alibrary/+(?=[^/]*\Z)", re.IGNORECASE)  # of images published by Docker itself
# A scheme, and all hosts of Docker Hub. Docker does not know the last one, which serves the same images.
HUB = re.compile(
    r"\A(?:[a-z][a-z0-9+.-]*:/{2,}|(?:(?:index\.|registry-1\.)?docker\.io|registry\.hub\.docker\.com)/+)*",
    re.IGNORECASE,
)
is_registry = HUB.fullmatch
is_written = re.compile(r"[A-Za-z0-9][\w./:@-]{0,250}", re.ASCII).fullmatch
is_id = re.compile(r"sha256:.*|[0-9a-f]{64}").fullmatch


def parse_image(value: object) -> str | None:
    """Return the normalised reference of an image, None for anything else.

    Docker reports a bare id or digest for an image without a name.
    """
    text = value.strip() if isinstance(value, str) else ""
    return image_reference(text) if is_written(text) and not is_id(text) and image_name(text) else None


def image_name(text: str) -> str:
    """Return the normalised name of an image without tag and digest, empty if nothing is left."""
    return _split(text)[0]


def image_reference(text: str) -> str:
    """Return the normalised name of an image with its tag and digest."""
    return "".join(_split(text))


def image_part(text: str) -> tuple[str, bool]:
    """Return a part of a name in normalised form, and whether it is a prefix."""
    text = text.strip()
    part = LIBRARY.sub("", HUB.sub("", text))
    return part, part != text


def merged_counts(counts: Iterable[tuple[str, str, int]]) -> dict[str, tuple[str, int]]:
    """Return category and count by name, from counts by spelling and category. The largest category wins."""
    by_name: dict[str, Counter[str]] = defaultdict(Counter)
    for image, category, count in counts:
        by_name[image_name(image) or image][category] += count
    return {name: (max(by, key=lambda of: (by[of], of)), by.total()) for name, by in by_name.items()}


@lru_cache(maxsize=4_096)  # a history has some hundred images per day
def _split(text: str) -> tuple[str, str]:
    """Return name and tag. The tag follows the last `/`, before which a `:` begins a registry's port."""
    path, at, digest = HUB.sub("", text.strip().lstrip("/")).partition("@")
    head, slash, last = path.strip("/").rpartition("/")
    last, colon, tag = last.partition(":")
    name = LIBRARY.sub("", f"{head}{slash}{last}".lower().strip("/"))
    return name[:LONGEST].rstrip("/"), f"{colon}{tag}{at}{digest}"
