"""Classify which outputs of a transaction are revenue (docs/contract.md#revenue), without database or network."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fluxtracker.upstream.records import ChainTx, TxInput
from revenue.models import Payment

# docs/upstream.md#app-payments: this wallet pays exactly 0.02 FLUX for free spec changes.
FREE_CHANGE_SENDER = "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"
FREE_CHANGE_SAT = 2_000_000

MESSAGE_HASH = re.compile(rb"[0-9a-fA-F]{64}")
FLUXDRIVE_TEXT = b"FLUXDRIVE"
EARLIEST = datetime(2018, 1, 1, tzinfo=UTC)  # before the chain's first block
ABSURD = timedelta(days=365)  # ahead of our clock, which may itself be wrong
APP, FLUXDRIVE, PLAIN = (Payment.Kind.APP.value, Payment.Kind.FLUXDRIVE.value, Payment.Kind.PLAIN.value)


class SenderUnknown(Exception):
    """The source does not report the sender. `spends` says where to find it."""

    def __init__(self, spends: TxInput) -> None:
        super().__init__(f"output {spends.previous_vout} of {spends.previous_txid} has the sender")
        self.spends = spends


@dataclass(frozen=True, slots=True)
class Output:
    """One revenue output, as the ledger stores it."""

    txid: str
    vout: int
    address: str
    from_address: str | None
    amount_sat: int
    height: int
    block_hash: str
    paid_at: datetime
    kind: str
    message_hash: str

    @property
    def day(self) -> date:
        """Return the UTC day of the block."""
        return self.paid_at.date()


def sender(tx: ChainTx) -> str | None:
    """Return the owner of the first input, None without transparent inputs.

    SenderUnknown if the source does not report it, whatever it reports of other inputs.
    """
    if not tx.inputs:
        return None
    first = tx.inputs[0]
    if first.address is None:
        raise SenderUnknown(first)
    return first.address


def is_time(at: datetime, now: datetime) -> bool:
    """Return whether a block of this chain can have this time."""
    return EARLIEST <= at <= now + ABSURD


def doubt(tx: ChainTx, address: str, now: datetime) -> str:
    """Return why a transaction listed for the address cannot be as reported, '' if it can."""
    if not is_time(tx.block_time, now):
        return f"the time of its block cannot be {tx.block_time.isoformat()}"
    if address in {output.address for output in tx.outputs} | {spent.address for spent in tx.inputs}:
        return ""
    is_whole = bool(tx.outputs) and all(output.address or not output.value_sat for output in tx.outputs)
    may_spend = any(spent.address is None and not spent.coinbase for spent in tx.inputs)
    return "" if is_whole and may_spend else "it neither pays the address nor spends from it"


def revenue_outputs(tx: ChainTx, address: str, tracked: Collection[str]) -> list[Output]:
    """Return the outputs to `address` that are revenue. SenderUnknown if that cannot be decided yet."""
    paid = [output for output in tx.outputs if output.address == address]
    if not paid or any(spent.coinbase for spent in tx.inputs):
        return []
    from_address = sender(tx)
    return outputs_from(tx, address, from_address, tracked)


def outputs_from(tx: ChainTx, address: str, from_address: str | None, tracked: Collection[str]) -> list[Output]:
    """Return the revenue outputs for a known sender, without change and fees of free updates."""
    if from_address in tracked:
        return []
    kind, message_hash = purpose(tx.op_return)
    return [
        Output(
            tx.txid, output.n, address, from_address, output.value_sat, tx.height, tx.block_hash,
            tx.block_time, kind, message_hash,
        )
        for output in tx.outputs
        if output.address == address
        and not (output.value_sat == FREE_CHANGE_SAT and from_address == FREE_CHANGE_SENDER)
    ]  # fmt: skip


def purpose(op_return: bytes | None) -> tuple[str, str]:
    """Return the purpose in the OP_RETURN: (kind, message hash or '')."""
    if op_return is None:
        return PLAIN, ""
    if MESSAGE_HASH.fullmatch(op_return):
        return APP, op_return.decode().lower()
    return FLUXDRIVE if op_return.startswith(FLUXDRIVE_TEXT) else PLAIN, ""
