"""The newest payments, as the page lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fluxtracker import figures
from revenue.explorer import transaction_url
from revenue.models import Message, Payment

SHOWN = 25


@dataclass(frozen=True, slots=True)
class Row:
    """One payment. `app` is None where nobody knows the app; `app_words` then says why."""

    id: int
    txid: str
    url: str
    paid_at: datetime
    sender: str | None
    app: str | None
    app_words: str
    amount_sat: int
    usd_micro: int | None
    why_no_usd: str

    @property
    def key_sender(self) -> str:
        return f"sender-{self.id}"

    @property
    def key_usd(self) -> str:
        return f"usd-{self.id}"


def newest() -> list[Row]:
    """The last payments, newest first. Two queries."""
    payments = list(Payment.objects.newest_first().select_related("app")[:SHOWN])
    attempts = _attempts(payments)
    return [_row(payment, attempts.get(payment.message_hash, 0)) for payment in payments]


def app_words(payment: Payment, attempts: int) -> str:
    """The app a payment was for, or why nobody knows it. `attempts`: how often its message was asked for."""
    if payment.app is not None:
        return payment.app.name
    if payment.kind == Payment.Kind.FLUXDRIVE:
        return "FluxDrive storage"
    if payment.kind == Payment.Kind.PLAIN:
        return "names no app"
    return "app message not found yet" if attempts else "app name not read yet"


def _attempts(payments: Sequence[Payment]) -> dict[str, int]:
    """How often the message of each unnamed payment was asked for, by its hash."""
    hashes = {payment.message_hash for payment in payments if payment.app_id is None and payment.message_hash}
    return dict(Message.objects.filter(hash__in=hashes).values_list("hash", "attempts"))


def _row(payment: Payment, attempts: int) -> Row:
    return Row(
        id=payment.pk,
        txid=payment.txid,
        url=transaction_url(payment.txid),
        paid_at=payment.paid_at,
        sender=payment.from_address,
        app=payment.app.name if payment.app else None,
        app_words=app_words(payment, attempts),
        amount_sat=payment.amount_sat,
        usd_micro=payment.usd_micro,
        why_no_usd=f"No price for {figures.day(payment.paid_at)} yet.",
    )
