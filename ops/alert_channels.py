"""The ways on which somebody is told. Each takes a message or raises NotTold with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from django.conf import settings

from ops import mail
from ops.alert_messages import Message
from ops.webhook import Webhook, WebhookFailed


class NotTold(Exception):
    """The message was not confirmed. `maybe`: whether it may have got through all the same."""

    def __init__(self, reason: str, *, maybe: bool = False) -> None:
        super().__init__(reason)
        self.maybe = maybe


class Channel(Protocol):
    @property
    def name(self) -> str: ...

    def tell(self, message: Message) -> None: ...


@dataclass(frozen=True, slots=True)
class Mail:
    recipients: tuple[str, ...]
    name: str = "email"

    def tell(self, message: Message) -> None:
        try:
            text = f"{message.text}\n\n/api/health and the admin say more.\n"
            mail.send(self.recipients, message.headline, text, message.delivery_id)
        except mail.MailFailed as failed:
            raise NotTold(str(failed), maybe=failed.maybe) from None


@dataclass(frozen=True, slots=True)
class Hook:
    webhook: Webhook
    name: str = "webhook"

    def tell(self, message: Message) -> None:
        try:
            self.webhook.post(message.body, message.delivery_id)
        except WebhookFailed as failed:
            raise NotTold(str(failed), maybe=failed.maybe) from None


def configured() -> list[Channel]:
    """Those that the settings name; none: alerts are shown, and nobody is told."""
    channels: list[Channel] = []
    if settings.ALERT_EMAILS:
        channels.append(Mail(tuple(settings.ALERT_EMAILS)))
    if settings.ALERT_WEBHOOK_URL:
        channels.append(Hook(Webhook(settings.ALERT_WEBHOOK_URL)))
    return channels
