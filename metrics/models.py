"""Store sources, readings, tracked apps and categories. NULL is unknown, 0 is counted none; times are UTC.

An image pattern is part of a normalised image name. A name pattern is a prefix followed by 13 or more digits, or a
plain prefix if it ends with `*`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from fluxtracker.images import image_part, is_registry

SHORTEST, LONGEST = 3, 200
MOST = 50


def validate_image_patterns(value: object) -> None:
    expected = "parts of image names, 3 letters or more without docker.io/ and library/: letters, digits and ._:/@-"
    for pattern in _validate(value, r"[A-Za-z0-9._:/@-]{3,200}", expected):
        if is_registry(f"{pattern}/") or len(image_part(pattern)[0]) < SHORTEST:
            raise ValidationError(f"{pattern[:50]!r}: expected {expected}")


def validate_name_patterns(value: object) -> None:
    _validate(
        value, r"[A-Za-z0-9-]{3,100}\*?", "beginnings of app names, 3 letters or more, with or without * at the end"
    )


def _validate(value: object, form: str, expected: str) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST:
        raise ValidationError(f"expected a list of at most {MOST} {expected}")
    for pattern in value:
        if not isinstance(pattern, str) or not re.fullmatch(form, pattern):
            raise ValidationError(f"{str(pattern)[:50]!r}: expected {expected}")
    return value


Matcher = Callable[[str], object]


def image_matcher(patterns: Iterable[str]) -> Matcher:
    """Return a function that finds any of the patterns in a normalised image.

    A pattern that names Docker Hub matches only at the start: normalised names of its images have no host.
    """
    parts = filter(lambda pair: pair[0], map(image_part, patterns))
    return _matcher(rf"\A{re.escape(part)}" if begins else re.escape(part) for part, begins in parts)


def name_matcher(patterns: Iterable[str]) -> Matcher:
    """Return a function that matches an app's name with any of the patterns."""
    return _matcher(
        rf"\A{re.escape(pattern[:-1])}" if pattern.endswith("*") else rf"\A{re.escape(pattern)}[0-9]{{13,}}\Z"
        for pattern in patterns
    )


def _matcher(parts: Iterable[str]) -> Matcher:
    patterns = list(parts)
    return re.compile("|".join(patterns) if patterns else r"(?!)", re.IGNORECASE).search


RESERVED_KEYS = ("total", "apps_total", "nodes_total")


class TrackedApp(models.Model):
    """An app whose running containers are counted separately. A row, never a column, as operators add games."""

    class Category(models.TextChoices):
        GAMING = "gaming", "game"
        CRYPTO = "crypto", "crypto node"
        WORDPRESS = "wordpress", "WordPress"
        GIT = "git", "deployed from git"
        SYSTEM = "system", "system, left out of the app total"

    name = models.CharField(max_length=60, unique=True)
    key = models.CharField(
        max_length=40,
        validators=[RegexValidator(r"^[a-z][a-z0-9_]*\Z", "small letters, digits and _, beginning with a letter")],
        help_text="Its name in the API: small letters, digits and _. History is kept under it.",
    )
    category = models.CharField(max_length=10, choices=Category)
    image_patterns = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_image_patterns],
        help_text='Parts of an image, such as ["itzg/minecraft-server"]. Upper and lower case are the same.',
    )
    name_patterns = models.JSONField(
        default=list,
        blank=True,
        validators=[validate_name_patterns],
        help_text='App names for images that are not public: ["palworld"] is palworld and 13 or more digits, '
        '["presearchnode*"] every name that begins so.',
    )
    active = models.BooleanField(default=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["category", "name"]
        constraints = [
            models.UniqueConstraint(fields=["category", "key"], name="tracked_app_key"),
            models.CheckConstraint(condition=~Q(key__in=RESERVED_KEYS), name="tracked_app_reserved_key"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def column(self) -> str:
        """Return its key in readings and snapshots, such as `gaming_palworld`."""
        return f"{self.category}_{self.key}"


class Category(models.Model):
    """Images and app names of a category, beyond its tracked apps. The lowest matching `order` wins."""

    class Key(models.TextChoices):
        EXCLUDED = "excluded", "in no category"
        GAMING = "gaming", "games"
        CRYPTO = "crypto", "crypto nodes"
        WORDPRESS = "wordpress", "WordPress"

    key = models.CharField(max_length=10, choices=Key, primary_key=True)
    order = models.PositiveSmallIntegerField(unique=True)
    image_keywords = models.JSONField(default=list, blank=True, validators=[validate_image_patterns])
    name_patterns = models.JSONField(default=list, blank=True, validators=[validate_name_patterns])
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["order"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.get_key_display()


class Source(models.Model):
    """Last values of a source, and the result of its last request. A failure keeps the last good values."""

    class Name(models.TextChoices):
        NODES = "nodes", "node counts (daemon)"
        CLOUD = "cloud", "capacity and use (stats)"
        APPS = "apps", "running containers (stats)"
        SPECS = "specs", "app specifications (FluxOS)"
        PRICE = "price", "FLUX price"

    class Census(models.TextChoices):
        NODE_LIST = "node_list", "node list (daemon)"
        NODE_FACTS = "node_facts", "places and versions of nodes (stats)"
        LOCATIONS = "locations", "running instances (FluxOS)"
        TERMS = "terms", "deployment prices (FluxOS)"

    name = models.CharField(max_length=10, choices=[*Name.choices, *Census.choices], primary_key=True)
    tried_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField(null=True, blank=True, help_text="When `values` were read.")
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    error = models.CharField(max_length=500, blank=True, help_text="Of the last try; empty when it went well.")
    values = models.JSONField(null=True, blank=True, help_text="The last good values, by metric.")
    coverage = models.JSONField(null=True, blank=True, help_text="How many rows these values rest on.")
    size = models.PositiveIntegerField(null=True, blank=True, help_text="Rows of the last good answer.")
    implausible_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when answers differ too much from the last good one."
    )
    doubted = models.JSONField(null=True, blank=True, help_text="The numbers of the last answer that differs so.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.get_name_display()


class Reading(models.Model):
    """Values read at one moment by metric, without those of failed sources.

    All are kept for 7 days, one per hour for 90.
    """

    at = models.DateTimeField(unique=True)
    values = models.JSONField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"


class ImageCount(models.Model):
    """Containers running an image, as last read from the source `apps`. Encrypted ones have no image."""

    image = models.CharField(max_length=255, primary_key=True, help_text="Without its tag.")
    category = models.CharField(max_length=10, choices=Category.Key, blank=True)
    count = models.PositiveIntegerField()

    class Meta:
        ordering = ["-count", "image"]

    def __str__(self) -> str:
        return f"{self.image}: {self.count}"


class Memory(models.Model):
    """State stored for the next collection, compressed: the nodes' last known sizes, the apps' images."""

    name = models.CharField(max_length=10, primary_key=True)
    data = models.BinaryField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "memories"

    def __str__(self) -> str:
        return self.name


class CensusDay(models.Model):
    """Distribution and operators of the nodes, as last read on a UTC day. Never deleted.

    Only counts: no node, no operator. Values not read on the day are NULL.
    """

    day = models.DateField(primary_key=True)
    nodes_at = models.DateTimeField(null=True, help_text="When the node list was read.")
    facts_at = models.DateTimeField(null=True, help_text="When the facts of the nodes were read.")
    running_at = models.DateTimeField(null=True, help_text="When the running instances were read.")
    nodes = models.TextField(null=True, help_text="JSON of what the node list tells: tiers, operators.")
    facts = models.TextField(null=True, help_text="JSON of what the nodes tell: places, providers, versions.")
    running = models.JSONField(null=True, help_text="How many apps and instances run.")
    lists = models.BinaryField(null=True, help_text="The whole lists behind `facts`, compressed.")

    class Meta:
        ordering = ["-day"]

    def __str__(self) -> str:
        return str(self.day)


class NodeChange(models.Model):
    """Nodes of a tier that joined, left or changed address on a day. A day without a row is not known."""

    day = models.DateField()
    tier = models.CharField(max_length=7)
    since = models.DateTimeField(help_text="When the list was read that the day's first one was compared with.")
    joins = models.PositiveIntegerField(default=0)
    leaves = models.PositiveIntegerField(default=0)
    moves = models.PositiveIntegerField(null=True, default=0, help_text="NULL: addresses could not be compared.")

    class Meta:
        ordering = ["-day", "tier"]
        constraints = [models.UniqueConstraint(fields=["day", "tier"], name="node_change_tier")]

    def __str__(self) -> str:
        return f"{self.day} {self.tier}"


class RunningApp(models.Model):
    """Running instances of an app. `app_key` is its lower-case name."""

    app_key = models.CharField(max_length=128, primary_key=True)
    name = models.CharField(max_length=128)
    instances = models.PositiveIntegerField()
    hashes = models.JSONField(help_text="Instances by the message whose specification they run; empty: not told.")

    class Meta:
        ordering = ["-instances", "app_key"]

    def __str__(self) -> str:
        return f"{self.name}: {self.instances}"


class InstanceChange(models.Model):
    """Instances of an app from an instant on. All changes are kept for 3 days, each day's last one permanently."""

    app_key = models.CharField(max_length=128)
    at = models.DateTimeField()
    instances = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["app_key", "at"], name="instance_change_app")]
        indexes = [models.Index(fields=["at"], name="instance_change_at")]  # to thin old rows

    def __str__(self) -> str:
        return f"{self.app_key} {self.instances}"


class DeploymentTerms(models.Model):
    """Prices and limits of deploying an app, from the first reading that had them."""

    at = models.DateTimeField(primary_key=True)
    prices = models.JSONField(help_text="FLUX for a month and three instances, by height.")
    limits = models.JSONField()

    class Meta:
        ordering = ["-at"]
        verbose_name_plural = "deployment terms"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}"
