"""Classify a container by its image or, if that is not public, by its app's name (docs/upstream.md#statistics).

Games, crypto nodes and their patterns are rows: add one in the admin under "Tracked apps".
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
    """A container's identity. `category` is empty if it is in none."""

    category: str = ""
    tracked: frozenset[tuple[str, str]] = frozenset()
    """Category and key of the tracked apps that it is an instance of."""
    is_git: bool = False
    is_system: bool = False
    is_watchtower: bool = False

    def is_of(self, category: str) -> bool:
        """Return whether it is a tracked app of the category."""
        return any(of == category for of, _ in self.tracked)


NOTHING = Kind()


@dataclass(frozen=True, slots=True)
class Rule:
    """A tracked app or category with compiled matchers."""

    category: str
    key: str
    fits_image: Matcher
    fits_name: Matcher


class Classifier:
    """The admin's rules, compiled once; each distinct image and name is classified once."""

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
        """Load the rules in two queries."""
        return cls(TrackedApp.objects.filter(active=True), Category.objects.all())

    def _by_image(self, image: str) -> Kind:
        apps = frozenset((app.category, app.key) for app in self._apps if app.fits_image(image))
        if any(rule.fits_image(image) for rule in self._excluded):
            # It is still deployed from git, or part of the system.
            kept = frozenset(pair for pair in apps if pair[0] in (TrackedApp.Category.GIT, TrackedApp.Category.SYSTEM))
            return self._kind(Category.Key.EXCLUDED, kept)
        return self._kind(self._category(apps, lambda rule: rule.fits_image(image)), apps)

    def _by_name(self, app: str, component: str) -> Kind:
        """Classify an app without a public image, at most as one tracked app: that with the longest pattern."""
        part = component.lower()
        if part in HELPERS or WEBSITE in part:
            return NOTHING
        if any(rule.fits_name(app) for rule in self._excluded):
            return self._kind(Category.Key.EXCLUDED, frozenset())
        longest = next((rule for rule in self._names if rule.fits_name(app)), None)
        apps = frozenset([(longest.category, longest.key)] if longest else [])
        return self._kind(self._category(apps, lambda rule: rule.fits_name(app)), apps, named=True)

    def _category(self, apps: frozenset[tuple[str, str]], fits: Callable[[Rule], object]) -> str:
        """Return the first category that matches by its own rules or through one of its tracked apps."""
        of_apps = {category for category, _ in apps}
        return next((rule.category for rule in self._categories if rule.category in of_apps or fits(rule)), "")

    def _kind(self, category: str, apps: frozenset[tuple[str, str]], *, named: bool = False) -> Kind:
        """Return the kind; only an image makes a git deployment."""
        of_apps = {of for of, _ in apps}
        return Kind(
            category,
            apps,
            is_git=TrackedApp.Category.GIT in of_apps and not named,
            is_system=TrackedApp.Category.SYSTEM in of_apps,
            is_watchtower=(TrackedApp.Category.SYSTEM, WATCHTOWER_KEY) in apps,
        )


PREFIX = re.compile(r"\A(?:flux|zel)")
WATCHTOWER = "containrrr/watchtower"
WATCHTOWER_NAMES = ("_watchtower", "watchtower")  # the rest of `flux_watchtower`; no app deploys it


@dataclass(frozen=True, slots=True)
class Resolved:
    """Facts from a container's name. `image` is None without a public specification."""

    app: str
    component: str
    image: str | None
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class KnownApp:
    """Public part of an app: each component's image by lower-case name."""

    name: str
    encrypted: bool
    images: dict[str, str | None]

    @property
    def only_image(self) -> str | None:
        """Return the image of an app with one component, None if there are several."""
        return next(iter(self.images.values())) if len(self.images) == 1 else None


class AppIndex:
    """The registered apps by name."""

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
        """Return the index in the form stored for the next collection."""
        return {name: [app.encrypted, app.images] for name, app in self._exact.items()}

    def __len__(self) -> int:
        return len(self._exact)

    def unseen(self) -> list[str]:
        """Return the apps without any public image, recognised by name only."""
        return sorted(app.name for app in self._exact.values() if not any(app.images.values()))

    def resolve(self, container: str) -> Resolved:
        """Resolve `flux<component>_<app>`, or `flux<app>` for an app of one container."""
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
