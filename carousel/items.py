"""What the lists are made of, and what the items on an app have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from fluxtracker.upstream.fluxos import ORBIT
from fluxtracker.upstream.records import AppSpecification

Item = dict[str, Any]

ADDRESS = re.compile(r"\A[0-9]{1,3}(\.[0-9]{1,3}){3}(:[0-9]+)?/")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A list as it is now, and on how many rows it rests."""

    items: list[Item]
    coverage: dict[str, Any] = field(default_factory=dict)


def app_item(app: AppSpecification) -> Item:
    """What is public of an app."""
    return {
        "label": app.name,
        "name": app.name,
        "version": app.version or None,
        "components": None if app.encrypted else len(app.components),
        "instances": app.instances,
        "kind": _kind(app),
        "image": _image(app),
    }


def _kind(app: AppSpecification) -> str:
    if app.encrypted:
        return "encrypted"
    return "git" if any(part.image and ORBIT in part.image.lower() for part in app.components) else "docker"


def _image(app: AppSpecification) -> str | None:
    """The first public image. A registry that is known by its address alone is left out of its name."""
    found = next((part.image for part in app.components if part.image), None)
    return ADDRESS.sub("", found) if found else None
