"""Generate past payments, one after the other from a seed, and prices.

Ids are hashes of the seed and a number, not of the transaction's bytes. The price is a slow wave between about 0.07
and 0.20 US dollars, with noise.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate
from math import cos, pi

from fluxtracker.simnet import records as a
from fluxtracker.simnet.base58 import made_up
from fluxtracker.simnet.records import Act, Input, Known, Output, Tx, height_at, time_of

FLUX = 100_000_000  # satoshi

KINDS = {
    "app": 780,
    "several_outputs": 20,
    "two_addresses": 14,
    "plain": 38,
    "fluxdrive": 14,
    "free_change": 40,
    "development": 24,
    "change": 10,
}
"""Kinds of transactions that touch a tracked address, with how often each occurs."""


UNDERPAID = 400  # one extra payment after this many is below the minimum price of 0.01 FLUX
UNDERPAID_SAT = 500_000
MONTH = 30 * 86_400


@lru_cache(maxsize=100)
def shares(month: int) -> tuple[float, float]:
    """Return the thresholds of draws for the card gateway and the team, whose shares vary by month."""
    card = 0.38 + 0.22 * ((_noise(0, f"card {month}") + 1) / 2)
    return card, card + 0.3 * ((_noise(0, f"team {month}") + 1) / 2) ** 2


def digest(*parts: object) -> str:
    return sha256(":".join(map(str, parts)).encode()).hexdigest()


@lru_cache(maxsize=100_000)
def customer(number: int) -> str:
    return made_up(f"customer {number}")


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of the past: `payments` transactions spread over the blocks `low` to `high`."""

    seed: int
    payments: int
    low: int
    high: int

    @classmethod
    def ending_at(cls, high: int, *, seed: int, payments: int, days: int) -> Plan:
        return cls(seed, payments, max(1, height_at(time_of(high) - days * 86_400)), high)


def transactions(plan: Plan, maker_type: type[Maker]) -> Iterator[Tx]:
    """Yield the transactions of the past, oldest first. Those with a message have no app yet."""
    maker = maker_type(plan.seed, customers=plan.payments // 8 + 20)
    for number, height in enumerate(_heights(plan)):
        tx = maker.make(number, progress=(number + 1) / plan.payments, seconds=time_of(height))
        tx.height = height
        yield tx
        if number % UNDERPAID == UNDERPAID - 1:
            underpaid = maker.underpaid(number)
            underpaid.height = height
            yield underpaid


def _heights(plan: Plan) -> list[int]:
    """Return heights spread evenly over time; some payments share one, the last ones are near the tip."""
    rng = random.Random(f"{plan.seed}:heights")
    start, span = time_of(plan.low), time_of(plan.high) - time_of(plan.low)
    found = [height_at(start + span * rng.random()) for _ in range(plan.payments)]
    for number in range(50, plan.payments, 50):
        found[number] = found[number - 1]
    if plan.payments >= 50:
        found[:5] = [plan.high, plan.high - 3, plan.high - 6, plan.high - 7, plan.high - 20]
    return sorted(found)


class Maker:
    """Makes transactions; transaction `number` depends on the seed and on those before it."""

    kinds = KINDS

    def __init__(self, seed: int, *, customers: int, name: str = "") -> None:
        self.seed = f"{seed}{name}"
        self.rng = random.Random(f"{self.seed}:payments")
        self.customers = customers
        self._gateway, self._team = 0.55, 0.58
        self.names, self.cumulative = list(self.kinds), list(accumulate(self.kinds.values()))

    def make(self, number: int, progress: float = 1.0, seconds: float = 0.0) -> Tx:
        """Make the next transaction; `progress` says how much of the past is over, from 0 to 1."""
        self._gateway, self._team = shares(int(seconds) // MONTH)
        [kind] = self.rng.choices(self.names, cum_weights=self.cumulative)
        tx: Tx = getattr(self, f"_{kind}")(number, progress)
        tx.txid = digest(self.seed, "tx", number)
        return tx

    def underpaid(self, number: int) -> Tx:
        """Make a payment below the minimum price, without affecting other draws."""
        sender, message_hash = customer(number % self.customers), digest(self.seed, "underpaid message", number)
        paid = (Output(a.MAIN, UNDERPAID_SAT), Output(sender, FLUX), Output(None, 0, message_hash.encode()))
        spent = Input(sender, digest(self.seed, "underpaid previous", number), 1, UNDERPAID_SAT + FLUX)
        tx = Tx(digest(self.seed, "underpaid", number), (spent,), paid, act=Act.UNDERPAID)
        tx.message_hash = message_hash
        return tx

    # The parts of the methods below.

    def _sat(self) -> int:
        """Return a usual amount: about 11 FLUX in the middle, sometimes hundreds."""
        return max(1_000_000, int(self.rng.lognormvariate(2.4, 0.9) * FLUX))

    def _address(self) -> str:
        draw = self.rng.random()
        return a.MAIN if draw < 0.96 else a.MIDDLE if draw < 0.99 else a.OLDEST

    def _sender(self) -> str:
        draw = self.rng.random()
        if draw < self._gateway:
            return a.GATEWAY
        return a.TEAM if draw < self._team else customer(self.rng.randrange(self.customers))

    def _paid(self, number: int, outputs: list[Output], *, sender: str, data: bytes | None = None) -> Tx:
        """Make a payment like wallets do: outputs, change, OP_RETURN; the fee is usually 0."""
        spent = sum(o.sat for o in outputs)
        fee = self.rng.choice((0, 0, 0, 0, 30, 130))
        change = self.rng.randrange(1, 400 * FLUX)
        outputs = [*outputs, Output(sender, change)]
        if data is not None:
            outputs.append(Output(None, 0, data))
        previous = digest(self.seed, "previous", number)
        spends = Input(sender, previous, self.rng.choice((0, 1, 1, 2)), spent + change + fee)
        return Tx("", (spends,), tuple(outputs))

    def _app_payment(self, number: int, progress: float, outputs: list[Output], sender: str) -> Tx:
        message_hash = digest(self.seed, "message", number)
        tx = self._paid(number, outputs, sender=sender, data=message_hash.encode())
        self.rng.random()  # which app it is for, which `Stories` choose now
        tx.act = Act.FREE if [output.sat for output in outputs] == [a.FREE_FEE_SAT] else Act.USUAL
        tx.message_hash = message_hash
        draw = self.rng.random()
        tx.known = Known.NEVER if draw < 0.015 else Known.LATER if draw < 0.03 else Known.YES
        return tx

    # One method per kind.

    def _app(self, number: int, progress: float) -> Tx:
        return self._app_payment(number, progress, [Output(self._address(), self._sat())], self._sender())

    def _several_outputs(self, number: int, progress: float) -> Tx:
        address = self._address()
        outputs = [Output(address, self._sat()) for _ in range(self.rng.choice((2, 2, 3)))]
        return self._app_payment(number, progress, outputs, self._sender())

    def _two_addresses(self, number: int, progress: float) -> Tx:
        outputs = [Output(a.MAIN, self._sat()), Output(a.MIDDLE, self._sat())]
        return self._app_payment(number, progress, outputs, self._sender())

    def _plain(self, number: int, progress: float) -> Tx:
        return self._paid(number, [Output(self._address(), self._sat())], sender=self._sender())

    def _fluxdrive(self, number: int, progress: float) -> Tx:
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        text = "FLUXDRIVE" + "".join(self.rng.choices(letters, k=24))
        return self._paid(number, [Output(a.MAIN, self._sat())], sender=self._sender(), data=text.encode())

    def _free_change(self, number: int, progress: float) -> Tx:
        outputs = [Output(self._address(), a.FREE_FEE_SAT)]
        return self._app_payment(number, progress, outputs, a.DEVELOPMENT)

    def _development(self, number: int, progress: float) -> Tx:
        return self._app_payment(number, progress, [Output(a.MAIN, self._sat())], a.DEVELOPMENT)

    def _change(self, number: int, progress: float) -> Tx:
        """Spend from a tracked address: what comes back to it is not revenue."""
        owner, target = self._address(), self.rng.choice((customer(0), a.TEAM, a.MIDDLE))
        return self._paid(number, [Output(target, self._sat())], sender=owner)


EPOCH = date(2020, 9, 1)
LISTED_ON_BINANCE = date(2021, 12, 10)
HIGH = 1870  # days from the epoch to a high; the low in autumn 2026 is a year later
LIVE_STEP = 600  # seconds between two changes of the live price


def price_on(seed: int, day: date) -> float:
    """Return the price at 00:00 UTC of a day."""
    number = (day - EPOCH).days
    wave = 0.133 + 0.058 * cos(2 * pi * (number - HIGH) / 730) + 0.005 * cos(2 * pi * number / 47)
    return round(wave * (1 + 0.03 * _noise(seed, number)), 12)


def live(seed: int, seconds: float) -> float:
    """Return the price at an instant, between those of two midnights; it changes every ten minutes."""
    now = datetime.fromtimestamp(seconds, UTC)
    share = (now.hour * 3600 + now.minute * 60) / 86_400
    today, tomorrow = price_on(seed, now.date()), price_on(seed, now.date() + timedelta(days=1))
    drift = 0.004 * _noise(seed, f"live{int(seconds) // LIVE_STEP}")
    return round((today + (tomorrow - today) * share) * (1 + drift), 12)


def close_on(seed: int, day: date) -> float:
    """Return the last price of a day, which is the first of the next day."""
    return price_on(seed, day + timedelta(days=1))


def _noise(seed: int, name: object) -> float:
    """Return a number from -1 to 1."""
    return int(digest(seed, "price", name)[:8], 16) / 0x7FFFFFFF - 1
