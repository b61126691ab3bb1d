"""Configure structured logs on stderr: one line per event, a static event name, values as fields."""

from __future__ import annotations

import logging
import logging.config
import sys
from collections.abc import Iterable
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from fluxtracker.formatting import escaped

SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


SHORTEST_SECRET = 6  # characters; a shorter one would occur in ordinary words
RENDER = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)


def masking(secrets: Iterable[str]) -> Processor:
    """Render a line without secrets and terminal escapes, from any logger."""
    long_enough = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
    hidden = sorted({*long_enough, *map(_as_rendered, long_enough)}, key=len, reverse=True)

    def render(logger: Any, method: str, event: EventDict) -> str:
        line = RENDER(logger, method, event)
        for secret in hidden:
            line = line.replace(secret, "***")
        return escaped(line)

    return render


def _as_rendered(secret: str) -> str:
    """Return the text as the renderer writes it inside quotes."""
    return secret.replace("\\", "\\\\").replace('"', '\\"')


def configure(*, debug: bool, secrets: Iterable[str] = ()) -> None:
    """Send Django's, Celery's and our own events through one formatter."""
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": SHARED,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        structlog.processors.format_exc_info,
                        masking(secrets),
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": sys.stderr}},
            "root": {"handlers": ["stderr"], "level": "INFO"},
            "loggers": {
                "django.db.backends": {"level": "WARNING"},
                "django.request": {"level": "ERROR"},
                "django.security.DisallowedHost": {"level": "CRITICAL"},  # scanners; our request line reports the 400
                "django.server": {"level": "WARNING"},  # runserver's request lines: ours report them
                "celery.beat": {"level": "WARNING"},
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},  # "Task ... received": reported by the runs
                "apprise": {"level": "ERROR"},  # reported by alert_not_delivered, without hosts
                "fido2": {"level": "WARNING"},  # each use, with the passkey's id: reported in the audit log
                "urllib3": {"level": "ERROR"},
                "fluxtracker": {"level": "DEBUG" if debug else "INFO"},
            },
        }
    )
