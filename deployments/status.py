"""Report how far app messages were read."""

from __future__ import annotations

from datetime import datetime

from deployments.models import MessagesState
from fluxtracker.timestamps import iso
from ops.registry import States, health_check
from ops.status import Part


@health_check("messages")
def messages_part(now: datetime | None, _: States) -> Part:
    """Report when messages were read and the newest version of specifications. One query; failures are the task's."""
    state = MessagesState.known() if now else MessagesState()
    return Part(
        {
            "readAt": iso(state.read_at),
            "completeAt": iso(state.complete_at),
            "latestVersion": state.latest_version,
            "leftOut": state.coverage.get("leftOut", {}),
        }
    )
