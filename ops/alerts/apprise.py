"""Send alerts to ALERT_URLS through Apprise: chat, push and mail services, with one channel per URL."""

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

TIMEOUT_S = 15.0  # per attempt; a slower receiver may have got it
LONGEST_NAME = 20  # length of AlertDelivery's column


@dataclass(frozen=True, slots=True)
class Service:
    """One Apprise URL. Its errors name the service and never the URL, which contains secrets."""

    url: str
    timeout: float = TIMEOUT_S

    @property
    def name(self) -> str:
        """Return a stable name for the URL: `slack-1a2b3c`."""
        scheme = self.url.partition("://")[0]
        return f"{scheme[: LONGEST_NAME - 7]}-{hashlib.sha256(self.url.encode()).hexdigest()[:6]}"

    def deliver(self, message: Sendable) -> None:
        """Send it once, in a thread that is abandoned after `timeout` seconds. Raise NotDelivered."""
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
            # A plugin's text may contain the URL.
            return NotDelivered(f"it could not be sent ({type(error).__name__})")

    def _notify(self, message: Sendable) -> NotDelivered | None:
        from apprise import Apprise, NotifyFormat

        apprise = Apprise()
        if not apprise.add(self.url):
            return NotDelivered("its address is not one that Apprise knows")
        if not settings.ALERT_PRIVATE_TARGETS and any(is_private(one.host or "") for one in apprise):
            return NotDelivered("it is not on the public internet, and ALERT_PRIVATE_TARGETS is 0")
        body = f"{message.text}\n\nDelivery {message.delivery_id}"
        title = message.headline[:100]
        if apprise.notify(body=body, title=title, body_format=NotifyFormat.TEXT, interpret_escapes=False):
            return None
        return NotDelivered("it did not take it")


def is_private(host: str) -> bool:
    """Return whether the host has a non-public address. An unresolvable name is an account, not a host."""
    try:
        entries = socket.getaddrinfo(host, None) if host else []
    except (OSError, UnicodeError):
        return False
    return any(not is_public(str(entry[4][0])) for entry in entries)
