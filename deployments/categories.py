"""Find the category of an app by its public images, else by its name (docs/metrics.md#categories)."""

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
# Not in the catalogue of metrics: parts of images, prefixes of names.
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
"""Its categories that have another name here."""
MARKETPLACE_NAME = re.compile(r"(.+?)[0-9]{13,}")
LONGEST_KEY = 30


def category_key(words: str) -> str:
    """Return the category for a marketplace's name: `front-end` for `Front End`."""
    key = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:LONGEST_KEY].strip("-")
    return OF_MARKETPLACE.get(key, key)


@dataclass(frozen=True)
class Catalogue:
    """Everything that decides a category. `templates`: category by lower-case template."""

    tracked: tuple[TrackedApp, ...]
    categories: tuple[Category, ...]
    templates: Mapping[str, str]

    @classmethod
    def load(cls) -> Self:
        """Load the catalogue in three queries."""
        return cls(
            tuple(TrackedApp.objects.filter(active=True)),
            tuple(Category.objects.all()),
            MessagesState.known().templates,
        )

    @property
    def digest(self) -> str:
        """Return a digest of the catalogue."""
        rows = [(app.category, app.key, app.image_patterns, app.name_patterns) for app in self.tracked]
        groups = [(group.key, group.order, group.image_keywords, group.name_patterns) for group in self.categories]
        content = repr((sorted(rows), sorted(groups), sorted(self.templates.items()), FURTHER, FURTHER_NAMES))
        return sha256(content.encode()).hexdigest()

    def category(self, name: str, images: Iterable[str], *, encrypted: bool) -> str:
        """Return the category of image, marketplace template or name, in this order; `unknown` if all is encrypted."""
        result = next(filter(None, map(self._of_image, images)), "") or self._of_template(name) or self._of_name(name)
        return result or (UNKNOWN if encrypted else OTHER)

    @cached_property
    def _classifier(self) -> Classifier:
        return Classifier(self.tracked, self.categories)

    @cached_property
    def _further(self) -> list[tuple[str, Matcher, Matcher]]:
        return [(key, image_matcher(images), name_matcher(names)) for key, (images, names) in FURTHER.items()]

    def _of_image(self, image: str) -> str:
        category = self._classifier.by_image(image).category
        if category:
            return "" if category == Category.Key.EXCLUDED else category
        return next((key for key, fits, _ in self._further if fits(image)), "")

    def _of_template(self, name: str) -> str:
        match = MARKETPLACE_NAME.fullmatch(name.lower())
        return self.templates.get(match[1], "") if match else ""

    def _of_name(self, name: str) -> str:
        category = self._classifier.by_name(name, "").category
        if category and category != Category.Key.EXCLUDED:
            return category
        further = next((key for key, _, fits in self._further if fits(name)), "")
        return further or (VPN if is_vpn(name) else FURTHER_NAMES.get(name.lower(), ""))
