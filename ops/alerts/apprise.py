"""Send alerts to ALERT_URLS through Apprise: chat, push and mail services, each address a channel of its own."""

from __future__ import annotations

import hashlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

from ops.alerts.webhook import NotDelivered, is_public

if TYPE_CHECKING:
    from ops.alerts.sending import Sendable

TIMEOUT_S = 15.0  # for a whole try; a receiver that is slower may have got it
LONGEST_NAME = 20  # the column of AlertDelivery


@dataclass(frozen=True, slots=True)
class Service:
    """One address as Apprise writes it. Its errors name the service and never the address, which holds secrets."""

    url: str
    timeout: float = TIMEOUT_S

    @property
    def name(self) -> str:
        """Return a name that stays the same while the address does: `slack-1a2b3c`."""
        scheme = self.url.partition("://")[0]
        return f"{scheme[: LONGEST_NAME - 7]}-{hashlib.sha256(self.url.encode()).hexdigest()[:6]}"

    def deliver(self, message: Sendable) -> None:
        """Send it once, in a thread that is given up after `timeout` seconds. Raise NotDelivered."""
        outcome: list[NotDelivered | None] = []
        thread = threading.Thread(target=lambda: outcome.append(self._outcome(message)), name="apprise", daemon=True)
        thread.start()
        thread.join(self.timeout)
        if not outcome:
            raise NotDelivered(f"no answer within {self.timeout:g} s", maybe=True)
        if outcome[0] is not None:
            raise outcome[0]

    def _outcome(self, message: Sendable) -> NotDelivered | None:
        try:
            return self._notify(message)
        except Exception as error:
            # A plugin's text may hold the address.
            return NotDelivered(f"it could not be sent ({type(error).__name__})")

    def _notify(self, message: Sendable) -> NotDelivered | None:
        from apprise import Apprise, NotifyFormat

        found = Apprise()
        if not found.add(self.url):
            return NotDelivered("its address is not one that Apprise knows")
        if not settings.ALERT_PRIVATE_TARGETS and any(is_private(one.host or "") for one in found):
            return NotDelivered("it is not on the public internet, and ALERT_PRIVATE_TARGETS is 0")
        body = f"{message.text}\n\nDelivery {message.delivery_id}"
        title = message.headline[:100]
        if found.notify(body=body, title=title, body_format=NotifyFormat.TEXT, interpret_escapes=False):
            return None
        return NotDelivered("it did not take it")


def is_private(host: str) -> bool:
    """Return whether an address of this name is not public. What no name server knows is no host but an account."""
    try:
        found = socket.getaddrinfo(host, None) if host else []
    except (OSError, UnicodeError):
        return False
    return any(not is_public(str(entry[4][0])) for entry in found)
