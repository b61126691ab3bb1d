"""Who did, or was refused, what."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from fluxtracker.client_address import client_address
from fluxtracker.text import printable
from ops.models import AuditEntry, Job

log = structlog.get_logger(__name__)

ASKED, DONE, REFUSED = "asked", "done", "refused"
LONGEST_VALUE = 200


def record(*, actor: str, address: str | None, action: str, outcome: str, detail: dict[str, Any] | None = None) -> None:
    """Add an entry. `address` None: a command. `detail` holds known keys only, never a body or a secret."""
    AuditEntry.objects.create(
        at=timezone.now(),
        actor=actor[:150],
        address=(address or "")[:45],
        action=action[:60],
        outcome=outcome,
        detail={key: trimmed(value) for key, value in (detail or {}).items()},
        request_id=request_id(),
    )


def record_if_possible(**entry: Any) -> None:
    """For refusals: without the database the answer stays the same."""
    try:
        record(**entry)
    except DatabaseError as error:
        log.warning("not_audited", action=entry.get("action"), error=type(error).__name__)


def address_of(request: HttpRequest) -> str:
    """Who asks, those on this machine included. Empty: over a Unix socket, which has no address."""
    return client_address(request) or str(request.META.get("REMOTE_ADDR", ""))


def actor_of(trigger: str) -> str:
    """Return who asked for the job that runs, else what started the work."""
    job = structlog.contextvars.get_contextvars().get("job")
    actor = Job.objects.filter(pk=job).values_list("actor", flat=True).first() if job else None
    return actor or trigger


def request_id() -> str:
    """The id of the request that is being answered, or of the one that asked for the job that runs; else empty."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def trimmed(value: Any) -> Any:
    return printable(value[:LONGEST_VALUE]) if isinstance(value, str) else value
