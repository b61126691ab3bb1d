"""What is brought up to date after a change, in rooms above the one that made it."""

from __future__ import annotations

import structlog
from django.db import DatabaseError
from django.utils.module_loading import import_string

from ops.runs import one_line

log = structlog.get_logger(__name__)

KEEPERS = ("snapshots.warm.keep_warm",)  # by name: they stand above


def changed() -> None:
    """A sync, a collection or a snapshot is through. What a keeper cannot do now, readers do for themselves."""
    for name in KEEPERS:
        try:
            import_string(name)()
        except DatabaseError as error:
            log.warning("not_kept_warm", keeper=name, error=one_line(error))
