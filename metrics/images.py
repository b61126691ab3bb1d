"""Names of images."""

from __future__ import annotations

LONGEST = 255


def without_tag(image: str) -> str:
    """The image without tag and digest, in small letters as registries have it.

    The tag stands after the last `/`: before it, a `:` begins a registry's port.
    """
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}".lower()[:LONGEST]
