"""How tasks run a verb on their schedule."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.db import DatabaseError

from fluxtracker.upstream.errors import UpstreamError
from ops.asking import ask_for_check
from ops.leases import LeaseHeld, LeaseLost
from ops.runs import NotDone, one_line

log = structlog.get_logger(__name__)


def run_quietly(door: Callable[..., object]) -> None:
    """Run a verb on its schedule. What went wrong is recorded and logged by the run already."""
    try:
        door(trigger="schedule")
    except LeaseHeld as error:
        log.info("task_skipped", reason=str(error))
    except (UpstreamError, LeaseLost, NotDone) as error:
        log.debug("task_ended", reason=str(error))
        ask_for_check()
    except DatabaseError as error:
        log.warning("task_ended_by_database", kind=type(error).__name__, error=one_line(error))
        ask_for_check()
    except Exception:
        ask_for_check()
        raise
