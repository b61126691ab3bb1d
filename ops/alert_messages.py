"""What is said about an alert: for people, and as a JSON body that Slack, Discord and programs understand."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from fluxtracker import figures
from ops.models import AlertDelivery

DISCORD_LONGEST = 2000  # characters


@dataclass(frozen=True, slots=True)
class Message:
    """`event`: raised, repeated, closed or test. `text` is one sentence for people.

    `delivery_id` is that of every try to deliver it: a receiver that got it twice can tell by it.
    """

    event: str
    key: str
    text: str
    delivery_id: str
    raised_at: datetime | None = None
    closed_at: datetime | None = None

    @classmethod
    def of(cls, delivery: AlertDelivery) -> Self:
        """Return what its channel is to be told."""
        alert, text = delivery.alert, delivery.alert.message
        if delivery.event == AlertDelivery.Event.REPEATED:
            text = f"Still so, since {figures.moment(alert.raised_at)}: {text}"
        elif alert.closed_at is not None:
            text = f"Over after {figures.span(alert.closed_at - alert.raised_at)}: {text}"
        return cls(delivery.event, alert.key, text, delivery.delivery_id, alert.raised_at, alert.closed_at)

    @classmethod
    def test(cls) -> Self:
        """Return the message that tries a channel."""
        return cls("test", "test", "this is a test of the alerts; nothing is wrong.", str(uuid.uuid4()))

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
            "deliveryId": self.delivery_id,
            "event": self.event,
            "key": self.key,
            "message": self.text,
            "raisedAt": _iso(self.raised_at),
            "closedAt": _iso(self.closed_at),
        }


def _slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
