"""Find what an app is for: by its public images, else by its name (docs/metrics.md#categories)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Self

from deployments.models import MessagesState
from metrics.games_and_crypto_nodes import Classifier
from metrics.models import Category, Matcher, TrackedApp, image_matcher, name_matcher

OTHER, UNKNOWN = "other", "unknown"
VPN, BANDWIDTH, AI = "vpn", "bandwidth", "ai"
# What the catalogue of metrics does not count: parts of images, beginnings of names.
FURTHER: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    VPN: (("cumulusvpn",), ()),
    BANDWIDTH: (("earnfm", "packetstream", "repocket"), ("earnfm*", "packetstream*", "repocket*")),
    AI: (
        ("n8nio/n8n", "hermesagent", "openclaw", "ownllm"),
        ("n8n*", "hermesagent*", "openclaw*", "ownllm*"),
    ),
}
is_vpn = re.compile(r"cumulusvpn[a-z]{2}", re.IGNORECASE).fullmatch  # and a country
FURTHER_NAMES = {"131barb1": BANDWIDTH}
OF_MARKETPLACE = {"games": "gaming", "gaming": "gaming", "blockchain": "crypto", "crypto": "crypto"}
"""Its categories that are called otherwise here."""
MARKETPLACE_NAME = re.compile(r"(.+?)[0-9]{13,}")
LONGEST_KEY = 30


def category_key(words: str) -> str:
    """Return the category of a marketplace's words: `front-end` for `Front End`."""
    key = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:LONGEST_KEY].strip("-")
    return OF_MARKETPLACE.get(key, key)


@dataclass(frozen=True)
class Catalogue:
    """Everything that decides a category. `templates`: category by template, in small letters."""

    tracked: tuple[TrackedApp, ...]
    categories: tuple[Category, ...]
    templates: Mapping[str, str]

    @classmethod
    def load(cls) -> Self:
        """Three queries."""
        return cls(
            tuple(TrackedApp.objects.filter(active=True)),
            tuple(Category.objects.all()),
            MessagesState.known().templates,
        )

    @property
    def digest(self) -> str:
        """Return what changes with the catalogue."""
        rows = [(app.category, app.key, app.image_patterns, app.name_patterns) for app in self.tracked]
        groups = [(group.key, group.order, group.image_keywords, group.name_patterns) for group in self.categories]
        told = repr((sorted(rows), sorted(groups), sorted(self.templates.items()), FURTHER, FURTHER_NAMES))
        return sha256(told.encode()).hexdigest()

    def category(self, name: str, images: Iterable[str], *, encrypted: bool) -> str:
        """Return the first that fits: image, marketplace template, name; `unknown` where all is encrypted."""
        found = next(filter(None, map(self._of_image, images)), "") or self._of_template(name) or self._of_name(name)
        return found or (UNKNOWN if encrypted else OTHER)

    @cached_property
    def _classifier(self) -> Classifier:
        return Classifier(self.tracked, self.categories)

    @cached_property
    def _further(self) -> list[tuple[str, Matcher, Matcher]]:
        return [(key, image_matcher(images), name_matcher(names)) for key, (images, names) in FURTHER.items()]

    def _of_image(self, image: str) -> str:
        found = self._classifier.by_image(image).category
        if found:
            return "" if found == Category.Key.EXCLUDED else found
        return next((key for key, fits, _ in self._further if fits(image)), "")

    def _of_template(self, name: str) -> str:
        match = MARKETPLACE_NAME.fullmatch(name.lower())
        return self.templates.get(match[1], "") if match else ""

    def _of_name(self, name: str) -> str:
        found = self._classifier.by_name(name, "").category
        if found and found != Category.Key.EXCLUDED:
            return found
        further = next((key for key, _, fits in self._further if fits(name)), "")
        return further or (VPN if is_vpn(name) else FURTHER_NAMES.get(name.lower(), ""))
