"""From a container's name to its app, and from there to its image (docs/upstream.md#statistics)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from fluxtracker.upstream.records import AppSpecification

PREFIXES = ("flux", "zel")
WATCHTOWER = "containrrr/watchtower"
WATCHTOWER_NAMES = ("_watchtower", "watchtower")  # what is left of `flux_watchtower`; no app deploys it


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a container's name tells. `image` is None where no public specification names it."""

    app: str
    component: str
    image: str | None
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class KnownApp:
    """What is public of an app: the image of each component, by its name in small letters."""

    name: str
    encrypted: bool
    images: dict[str, str | None]

    @property
    def only_image(self) -> str | None:
        """Of an app with one component; None where there are several."""
        return next(iter(self.images.values())) if len(self.images) == 1 else None


class AppIndex:
    """The apps that are registered, by name."""

    def __init__(self, apps: Iterable[KnownApp]) -> None:
        self._exact = {app.name: app for app in apps}
        self._lower = {name.lower(): app for name, app in self._exact.items()}

    @classmethod
    def of(cls, specifications: Iterable[AppSpecification]) -> Self:
        return cls(
            KnownApp(app.name, app.encrypted, {part.name.lower(): part.image for part in app.components})
            for app in specifications
        )

    @classmethod
    def load(cls, data: dict[str, Any]) -> Self:
        return cls(KnownApp(name, encrypted, images) for name, (encrypted, images) in data.items())

    def dump(self) -> dict[str, Any]:
        """For the memory."""
        return {name: [app.encrypted, app.images] for name, app in self._exact.items()}

    def __len__(self) -> int:
        return len(self._exact)

    def unseen(self) -> list[str]:
        """The apps that only their name can tell: no image of theirs is public."""
        return sorted(app.name for app in self._exact.values() if not any(app.images.values()))

    def resolve(self, container: str) -> Resolved:
        """`flux<component>_<app>`, or `flux<app>` for an app of one container."""
        name = _without_prefix(container)
        flat = self._find(name)
        if flat:
            return Resolved(flat.name, "", flat.only_image, flat.encrypted)
        component, underscore, app = name.partition("_")
        if name.lower() in WATCHTOWER_NAMES:
            return Resolved("", "watchtower", WATCHTOWER)
        if not underscore:
            return Resolved(name, "", None)
        known = self._find(app)
        if known is None:
            return Resolved(app, component, None)
        return Resolved(known.name, component, known.images.get(component.lower()), known.encrypted)

    def _find(self, name: str) -> KnownApp | None:
        return self._exact.get(name) or self._lower.get(name.lower())


def _without_prefix(container: str) -> str:
    name = container.removeprefix("/")
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
