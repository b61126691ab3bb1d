"""The payments of the past, made one after the other from a seed with every documented peculiarity, and the prices.

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
from fluxtracker.simnet.catalogue import App, Catalogue
from fluxtracker.simnet.records import Input, Known, Output, Tx, height_at, time_of

FLUX = 100_000_000  # satoshi

KINDS = {
    "app": 780,
    "several_outputs": 20,
    "several_senders": 8,
    "two_addresses": 14,
    "plain": 38,
    "fluxdrive": 14,
    "binary": 10,
    "free_change": 40,
    "almost_free": 14,
    "development": 24,
    "change": 10,
    "coinbase": 4,
    "untold_sender": 1,
    "shielded": 3,
    "odd_script": 6,
    "price_message": 2,
}
"""Kinds of transactions that touch a tracked address, with how often each occurs among 988."""


def digest(*parts: object) -> str:
    return sha256(":".join(map(str, parts)).encode()).hexdigest()


@lru_cache(maxsize=100_000)
def customer(number: int) -> str:
    return a.made_up(f"customer {number}")


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


def transactions(plan: Plan, catalogue: Catalogue) -> Iterator[Tx]:
    """Yield the transactions of the past, oldest first."""
    maker = Maker(plan.seed, catalogue, apps=max(12, plan.payments // 10), customers=plan.payments // 8 + 20)
    for number, height in enumerate(_heights(plan)):
        tx = maker.make(number, progress=(number + 1) / plan.payments)
        tx.height = height
        yield tx


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
    """Makes transactions of every kind; transaction `number` depends on the seed and on those before it."""

    def __init__(self, seed: int, catalogue: Catalogue, *, apps: int, customers: int, name: str = "") -> None:
        self.seed = f"{seed}{name}"
        self.rng = random.Random(f"{self.seed}:payments")
        self.catalogue = catalogue
        self.apps, self.customers = apps, customers
        self.kinds, self.cumulative = list(KINDS), list(accumulate(KINDS.values()))

    def make(self, number: int, progress: float = 1.0) -> Tx:
        """Make the next transaction; `progress` says how much of the past is over, from 0 to 1."""
        [kind] = self.rng.choices(self.kinds, cum_weights=self.cumulative)
        tx: Tx = getattr(self, f"_{kind}")(number, progress)
        tx.txid = digest(self.seed, "tx", number)
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
        if draw < 0.55:
            return a.GATEWAY
        return a.TEAM if draw < 0.58 else customer(self.rng.randrange(self.customers))

    def _pick_app(self, progress: float) -> App:
        """Choose an app. Newer apps pay later: at the start of the history only the first ones exist."""
        return self.catalogue[int(self.apps * progress * self.rng.random() ** 0.6)]

    def _spend(self, number: int, sender: str | None, sat: int, *, told: bool = True) -> tuple[Input, ...]:
        previous = digest(self.seed, "previous", number)
        return (Input(sender, previous, self.rng.choice((0, 1, 1, 2)), sat, told),)

    def _paid(
        self, number: int, outputs: list[Output], *, sender: str, data: bytes | None = None, told: bool = True
    ) -> Tx:
        """Make a payment as wallets do: outputs, change, OP_RETURN; the fee is mostly 0."""
        spent = sum(o.sat for o in outputs)
        fee = self.rng.choice((0, 0, 0, 0, 30, 130))
        change = self.rng.randrange(1, 400 * FLUX)
        outputs = [*outputs, Output(sender, change)]
        if data is not None:
            outputs.append(Output(None, 0, data))
        return Tx("", self._spend(number, sender, spent + change + fee, told=told), tuple(outputs))

    def _app_payment(self, number: int, progress: float, outputs: list[Output], sender: str) -> Tx:
        message_hash = digest(self.seed, "message", number)
        tx = self._paid(number, outputs, sender=sender, data=message_hash.encode())
        tx.app, tx.message_hash = self._pick_app(progress), message_hash
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

    def _several_senders(self, number: int, progress: float) -> Tx:
        """Pay from several inputs: the first sender decides, so a tracked address after it changes nothing."""
        tx = self._app_payment(number, progress, [Output(a.MAIN, self._sat())], self._sender())
        second = Input(self.rng.choice((a.MAIN, a.TEAM)), digest(self.seed, "second", number), 1, 5 * FLUX)
        tx.inputs = (*tx.inputs, second)
        return tx

    def _two_addresses(self, number: int, progress: float) -> Tx:
        outputs = [Output(a.MAIN, self._sat()), Output(a.MIDDLE, self._sat())]
        return self._app_payment(number, progress, outputs, self._sender())

    def _plain(self, number: int, progress: float) -> Tx:
        return self._paid(number, [Output(self._address(), self._sat())], sender=self._sender())

    def _fluxdrive(self, number: int, progress: float) -> Tx:
        letters = "abcdefghijklmnopqrstuvwxyz0123456789"
        text = "FLUXDRIVE" + "".join(self.rng.choices(letters, k=24))
        return self._paid(number, [Output(a.MAIN, self._sat())], sender=self._sender(), data=text.encode())

    def _binary(self, number: int, progress: float) -> Tx:
        data = b"\xff" + self.rng.randbytes(31)
        return self._paid(number, [Output(self._address(), self._sat())], sender=self._sender(), data=data)

    def _free_change(self, number: int, progress: float) -> Tx:
        outputs = [Output(self._address(), a.FREE_FEE_SAT)]
        return self._app_payment(number, progress, outputs, a.DEVELOPMENT)

    def _almost_free(self, number: int, progress: float) -> Tx:
        """Pay almost the free fee, which is revenue: a satoshi off, in two halves, or from another sender."""
        choices: list[tuple[str, list[int]]] = [
            (a.DEVELOPMENT, [a.FREE_FEE_SAT - 1]),
            (a.DEVELOPMENT, [a.FREE_FEE_SAT + 1]),
            (a.DEVELOPMENT, [a.FREE_FEE_SAT // 2] * 2),
            (self._sender(), [a.FREE_FEE_SAT]),
        ]
        sender, amounts = choices[number % 4]
        return self._app_payment(number, progress, [Output(a.MAIN, sat) for sat in amounts], sender)

    def _development(self, number: int, progress: float) -> Tx:
        return self._app_payment(number, progress, [Output(a.MAIN, self._sat())], a.DEVELOPMENT)

    def _change(self, number: int, progress: float) -> Tx:
        """Spend from a tracked address: what comes back to it is not revenue."""
        owner, target = self._address(), self.rng.choice((customer(0), a.TEAM, a.MIDDLE))
        return self._paid(number, [Output(target, self._sat())], sender=owner)

    def _price_message(self, number: int, progress: float) -> Tx:
        return self._paid(number, [Output(a.MAIN, FLUX)], sender=a.MAIN, data=b"p_3_1_0.5_0.01_1")

    def _coinbase(self, number: int, progress: float) -> Tx:
        outputs = (Output(a.FUND, FLUX // 2), Output(a.MAIN, FLUX), Output(customer(1), 9 * FLUX))
        return Tx("", (Input(None, "", 0, 0, coinbase=True),), outputs)

    def _untold_sender(self, number: int, progress: float) -> Tx:
        """Pay from a sender that the sources do not name; the spent transaction names it."""
        choices = [(self._sender(), self._sat()), (a.DEVELOPMENT, a.FREE_FEE_SAT), (a.MAIN, self._sat())]
        sender, sat = choices[number % 3]
        return self._paid(number, [Output(a.MAIN, sat)], sender=sender, told=False)

    def _shielded(self, number: int, progress: float) -> Tx:
        """Pay from the shielded pool: there is no input to name a sender."""
        return Tx("", (), (Output(self._address(), self._sat()),))

    def _odd_script(self, number: int, progress: float) -> Tx:
        """Pay with one output that has no address; Blockbook then says `addresses: null`."""
        outputs = [Output(None, 1000), Output(a.MAIN, self._sat())]
        return self._paid(number, outputs, sender=self._sender())


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
