"""What is said about an alert: for people, and as a JSON body that Slack, Discord and programs understand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from fluxtracker import figures
from ops.models import Alert

DISCORD_LONGEST = 2000  # characters


@dataclass(frozen=True, slots=True)
class Message:
    """`event`: raised, repeated, closed or test. `text` is one sentence for people."""

    event: str
    key: str
    text: str
    raised_at: datetime | None = None
    closed_at: datetime | None = None

    @classmethod
    def of(cls, alert: Alert) -> Self:
        """What is to be said of it now."""
        if alert.closed_at is not None:
            lasted = figures.span(alert.closed_at - alert.raised_at)
            return cls("closed", alert.key, f"Over after {lasted}: {alert.message}", alert.raised_at, alert.closed_at)
        if alert.sent_at is not None:
            since = figures.moment(alert.raised_at)
            return cls("repeated", alert.key, f"Still so, since {since}: {alert.message}", alert.raised_at)
        return cls("raised", alert.key, alert.message, alert.raised_at)

    @property
    def headline(self) -> str:
        return f"Fluxtracker: {self.text}"

    @property
    def body(self) -> dict[str, Any]:
        """`text` is Slack's, `content` and `allowed_mentions` Discord's; the others are for programs.

        An error's text comes from elsewhere: it may not call anybody's name in a chat.
        """
        return {
            "text": _slack(self.headline),
            "content": self.headline[:DISCORD_LONGEST],
            "allowed_mentions": {"parse": []},
            "source": "fluxtracker",
            "event": self.event,
            "key": self.key,
            "message": self.text,
            "raisedAt": _iso(self.raised_at),
            "closedAt": _iso(self.closed_at),
        }


TEST = Message("test", "test", "this is a test of the alerts; nothing is wrong.")


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
