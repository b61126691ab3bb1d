"""Classify a container by its image or, if that is not public, by its app's name (docs/upstream.md#statistics).

The games, crypto nodes and their patterns are rows: add one in the admin under "Tracked apps".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from fluxtracker.upstream.records import AppSpecification
from metrics.models import Category, Matcher, TrackedApp, image_matcher, name_matcher

HELPERS = (  # docs/upstream.md#tracked-apps
    "mariadb", "mysql", "postgres", "postgresql", "redis", "valkey", "mongo", "mongodb", "operator", "watchtower",
    "nginx", "proxy",
)  # fmt: skip
WEBSITE = "website"
WATCHTOWER_KEY = "watchtower"


@dataclass(frozen=True, slots=True)
class Kind:
    """A container's identity. `category` is empty for one that is in none."""

    category: str = ""
    tracked: frozenset[tuple[str, str]] = frozenset()
    """Category and key of the tracked apps that it is an instance of."""
    is_git: bool = False
    is_system: bool = False
    is_watchtower: bool = False

    def is_of(self, category: str) -> bool:
        """Return whether a tracked app of the category is among what it is."""
        return any(of == category for of, _ in self.tracked)


NOTHING = Kind()


@dataclass(frozen=True, slots=True)
class Rule:
    """A tracked app or a category, ready to match."""

    category: str
    key: str
    fits_image: Matcher
    fits_name: Matcher


class Classifier:
    """The operators' rows, compiled once; each distinct image and name is looked at once."""

    def __init__(self, tracked: Iterable[TrackedApp], categories: Iterable[Category]) -> None:
        apps = [app for app in tracked if app.active]
        self.counted = [(app.category, app.key) for app in apps]
        self._apps = [Rule(app.category, app.key, image_matcher(app.image_patterns), name_matcher([])) for app in apps]
        self._names = [
            Rule(app.category, app.key, image_matcher([]), name_matcher([pattern]))
            for pattern, app in sorted(
                ((pattern, app) for app in apps for pattern in app.name_patterns), key=lambda pair: -len(pair[0])
            )
        ]
        rules = [
            Rule(row.key, "", image_matcher(row.image_keywords), name_matcher(row.name_patterns))
            for row in sorted(categories, key=lambda row: row.order)
        ]
        self._excluded = [rule for rule in rules if rule.category == Category.Key.EXCLUDED]
        self._categories = [rule for rule in rules if rule.category != Category.Key.EXCLUDED]
        self.by_image: Callable[[str], Kind] = cache(self._by_image)
        self.by_name: Callable[[str, str], Kind] = cache(self._by_name)

    @classmethod
    def load(cls) -> Self:
        """Two queries."""
        return cls(TrackedApp.objects.filter(active=True), Category.objects.all())

    def _by_image(self, image: str) -> Kind:
        found = frozenset((app.category, app.key) for app in self._apps if app.fits_image(image))
        if any(rule.fits_image(image) for rule in self._excluded):
            # It still is what it is: deployed from git, or part of the system.
            kept = frozenset(pair for pair in found if pair[0] in (TrackedApp.Category.GIT, TrackedApp.Category.SYSTEM))
            return self._kind(Category.Key.EXCLUDED, kept)
        return self._kind(self._category(found, lambda rule: rule.fits_image(image)), found)

    def _by_name(self, app: str, component: str) -> Kind:
        """Of an app whose image is not public. One tracked app at most: that of the longest pattern."""
        part = component.lower()
        if part in HELPERS or WEBSITE in part:
            return NOTHING
        if any(rule.fits_name(app) for rule in self._excluded):
            return self._kind(Category.Key.EXCLUDED, frozenset())
        longest = next((rule for rule in self._names if rule.fits_name(app)), None)
        found = frozenset([(longest.category, longest.key)] if longest else [])
        return self._kind(self._category(found, lambda rule: rule.fits_name(app)), found, named=True)

    def _category(self, found: frozenset[tuple[str, str]], fits: Callable[[Rule], object]) -> str:
        """Return the first category that fits, by its own rules or through one of its tracked apps."""
        of_apps = {category for category, _ in found}
        return next((rule.category for rule in self._categories if rule.category in of_apps or fits(rule)), "")

    def _kind(self, category: str, found: frozenset[tuple[str, str]], *, named: bool = False) -> Kind:
        """A git deployment is one by its image only."""
        of_apps = {of for of, _ in found}
        return Kind(
            category,
            found,
            is_git=TrackedApp.Category.GIT in of_apps and not named,
            is_system=TrackedApp.Category.SYSTEM in of_apps,
            is_watchtower=(TrackedApp.Category.SYSTEM, WATCHTOWER_KEY) in found,
        )


PREFIX = re.compile(r"\A(?:flux|zel)")
WATCHTOWER = "containrrr/watchtower"
WATCHTOWER_NAMES = ("_watchtower", "watchtower")  # what is left of `flux_watchtower`; no app deploys it


@dataclass(frozen=True, slots=True)
class Resolved:
    """Facts from a container's name. `image` is None where no public specification names it."""

    app: str
    component: str
    image: str | None
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class KnownApp:
    """Public part of an app: the image of each component, by its name in lower case."""

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
        """Return the apps that only their name can tell: no image of theirs is public."""
        return sorted(app.name for app in self._exact.values() if not any(app.images.values()))

    def resolve(self, container: str) -> Resolved:
        """`flux<component>_<app>`, or `flux<app>` for an app of one container."""
        name = PREFIX.sub("", container.removeprefix("/"))
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
