"""Build the life of an app from its messages, without network or database (docs/metrics.md#lives-of-apps).

Messages count in the order of height, signer's clock and hash, not in the order of reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from deployments.models import AppEvent
from fluxtracker.block_times import Timeline, scheduled
from fluxtracker.upstream.messages import PermanentMessage
from fluxtracker.upstream.records import NEW_SECONDS, Unit, end_height

TOLERANCE = 8  # blocks by which an end may move without counting as longer or shorter, as in FluxOS
CANCELLING = 100  # blocks; a term this short cancels an app
LOST_AFTER = timedelta(days=7)
BLOCK = timedelta(seconds=NEW_SECONDS)
WEEKLY_S = 7 * 86_400
EARLIEST = datetime.min.replace(tzinfo=UTC)


Kind = AppEvent.Kind
BEGINNING = (Kind.NEW, Kind.REREGISTERED, Kind.WON_BACK)  # of a life


@dataclass(frozen=True, slots=True)
class Paid:
    """Payment of one transaction for one message: `usd_micro` over its `priced` outputs."""

    at: datetime
    payments: int
    revenue_sat: int
    usd_micro: int
    priced: int
    height: int | None = None
    """Its block in the ledger, after reorganisations too; None: as in the message."""

    def __add__(self, other: Paid) -> Paid:
        """Return the sum of two outputs of the transaction."""
        return Paid(
            min(self.at, other.at),
            self.payments + other.payments,
            self.revenue_sat + other.revenue_sat,
            self.usd_micro + other.usd_micro,
            self.priced + other.priced,
            other.height,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One message of an app, or its end without a renewal in time.

    An ignored one shows its payment and changes nothing: that money belongs to no life.
    """

    kind: Kind
    life: int
    """1 for the app's first life, one more after each end; 0 before there is one."""
    message_hash: str
    txid: str
    owner: str | None
    instances: int | None
    height: int
    at: datetime
    """Never before the event before it."""
    end_height: int | None
    """In force after it; None: not known, or a duration without a block."""
    end_at: datetime | None
    """None: not known."""
    previous_end_at: datetime | None
    payments: int = 0
    revenue_sat: int = 0
    usd_micro: int = 0
    priced: int = 0

    @property
    def counts(self) -> bool:
        return self.kind not in (Kind.LOST, Kind.IGNORED)


@dataclass(frozen=True, slots=True)
class Life:
    """All events of an app in order, and the state after the last one that counts."""

    events: tuple[Event, ...] = ()
    first: PermanentMessage | None = None
    """The first message that counts, if any."""
    last: PermanentMessage | None = None
    registered_at: datetime | None = None
    end_height: int | None = None
    end_at: datetime | None = None
    """None: not known."""
    cancelled: bool = False
    weekly: bool = False
    """Whether its first term is 7 days or less."""


@dataclass(frozen=True, slots=True)
class End:
    """End of an app: a block, or an instant if its term is in seconds. Both None: not known."""

    height: int | None
    at: datetime | None

    def has_passed(self, message: PermanentMessage, at: datetime) -> bool:
        """Return whether an app with this end was no longer in force at the message."""
        if self.height is not None:
            return self.height <= message.height
        return self.at is not None and self.at <= at

    def blocks_after(self, other: End) -> float | None:
        """Return the blocks from the other end to this one, None if either is not known."""
        if self.height is not None and other.height is not None:
            return self.height - other.height
        return None if self.at is None or other.at is None else (self.at - other.at) / BLOCK


NEVER = End(None, None)


def end_of(message: PermanentMessage, at: datetime, clock: Timeline) -> End:
    """Return the end requested by a message in a block of that time."""
    if message.term is None:
        return NEVER
    if message.term.unit == Unit.SECONDS:
        return End(None, at + timedelta(seconds=message.term.amount))
    height = end_height(message.height, message.term.amount)
    return End(height, max(clock.time_of(height), at))


def build_life(
    messages: Iterable[PermanentMessage], payments: Mapping[tuple[str, str], Paid], clock: Timeline, tip: int
) -> Life:
    """Return the life of the app with these messages as of block `tip`: later messages wait.

    `payments` are by hash and txid: other payments with a hash belong to no message.
    """
    building = _Builder(clock)
    placed = (_placed(message, payments.get((message.hash, message.txid))) for message in messages)
    for message, at, paid in _dated(sorted((one for one in placed if one.height <= tip), key=order), payments, clock):
        building.add(message, at, paid)
    building.lose(clock.time_of(tip))
    return building.life()


def _placed(message: PermanentMessage, paid: Paid | None) -> PermanentMessage:
    """Return the message in its payment's block, which may have moved since FluxOS stored the message."""
    if paid is None or paid.height is None or paid.height == message.height:
        return message
    return replace(message, height=paid.height)


Dated = tuple[PermanentMessage, datetime, Paid | None]


def _dated(
    messages: Sequence[PermanentMessage], payments: Mapping[tuple[str, str], Paid], clock: Timeline
) -> Iterable[Dated]:
    """Return each message with its block time, which never decreases and is exact where there is a payment."""
    dated: list[Dated] = []
    latest = datetime.max.replace(tzinfo=UTC)
    for message in reversed(messages):
        paid = payments.get((message.hash, message.txid))
        at = paid.at if paid else min(clock.time_of(message.height), latest)
        latest = min(at, latest)
        dated.append((message, at, paid))
    earliest = EARLIEST
    for message, at, paid in reversed(dated):
        earliest = max(at, earliest)
        yield message, earliest, paid


def order(message: PermanentMessage) -> tuple[int, datetime, str]:
    """Return the sort key of messages."""
    return message.height, message.sent_at or EARLIEST, message.hash


class _Builder:
    """Builds a life from the messages of one app in order."""

    def __init__(self, clock: Timeline) -> None:
        self._clock = clock
        self._counted: list[tuple[Event, PermanentMessage]] = []
        self._events: list[Event] = []
        self._end = NEVER
        self._lost = False

    def add(self, message: PermanentMessage, at: datetime, paid: Paid | None) -> None:
        self.lose(at)
        end = end_of(message, at, self._clock)
        kind = self._kind(message, at, end)
        event = self._event(message, kind, at, end, paid)
        self._events.append(event)
        if kind != Kind.IGNORED:
            self._counted.append((event, message))
            self._end, self._lost = end, False

    def lose(self, now: datetime) -> None:
        """Add the loss of the app, once, on the day of its end, if that is long enough ago."""
        if not self._counted or self._lost or self._end.at is None or now - self._end.at < LOST_AFTER:
            return
        self._lost = True
        last, at = self._counted[-1][0], self._end.at
        height = self._clock.height_at(at) if self._end.height is None else self._end.height
        lost = Event(
            Kind.LOST,
            last.life,
            "",
            "",
            last.owner,
            last.instances,
            height,
            at,
            self._end.height,
            at,
            previous_end_at=at,
        )
        place = len(self._events)
        while place and self._events[place - 1].at > at:  # messages after the end that do not count
            place -= 1
        self._events.insert(place, lost)

    def life(self) -> Life:
        if not self._counted:
            return Life(tuple(self._events))
        (first, registration), (last, newest) = self._counted[0], self._counted[-1]
        return Life(
            events=tuple(self._events),
            first=registration,
            last=newest,
            registered_at=first.at,
            end_height=self._end.height,
            end_at=self._end.at,
            cancelled=last.kind == Kind.CANCELLED,
            weekly=_is_weekly(registration),
        )

    def _kind(self, message: PermanentMessage, at: datetime, end: End) -> Kind:
        if not message.applied:
            return Kind.IGNORED
        if not self._counted:
            return Kind.NEW
        if self._end.has_passed(message, at):
            return Kind.REREGISTERED if message.is_registration else Kind.WON_BACK
        if message.is_registration and message.owner != self._counted[-1][1].owner:
            return Kind.REREGISTERED if self._end == NEVER else Kind.IGNORED
        return _change(message, end.blocks_after(self._end))

    def _event(self, message: PermanentMessage, kind: Kind, at: datetime, end: End, paid: Paid | None) -> Event:
        counts = kind != Kind.IGNORED
        before = self._counted[-1][0].life if self._counted else 0
        return Event(
            kind=kind,
            life=before + (kind in BEGINNING),
            message_hash=message.hash,
            txid=message.txid,
            owner=message.owner,
            instances=message.instances,
            height=message.height,
            at=at,
            end_height=end.height if counts else self._end.height,
            end_at=end.at if counts else self._end.at,
            previous_end_at=self._end.at,
            payments=paid.payments if paid else 0,
            revenue_sat=paid.revenue_sat if paid else 0,
            usd_micro=paid.usd_micro if paid else 0,
            priced=paid.priced if paid else 0,
        )


def _is_weekly(message: PermanentMessage) -> bool:
    """Return whether its term is 7 days or less, if every block is on time."""
    if message.term is None:
        return False
    if message.term.unit == Unit.SECONDS:
        return message.term.amount <= WEEKLY_S
    return scheduled(end_height(message.height, message.term.amount)) - scheduled(message.height) <= WEEKLY_S


def _change(message: PermanentMessage, later: float | None) -> Kind:
    """Return the effect of a message that moves the end of an app in force by this many blocks."""
    if later is None or abs(later) <= TOLERANCE:
        return Kind.CHANGE
    if later > 0:
        return Kind.RENEWAL
    term = message.term
    ends = term is not None and term.unit == Unit.BLOCKS and term.amount <= CANCELLING
    return Kind.CANCELLED if ends else Kind.SHORTENED
