"""Odd payments of the real chain, which the demo does not need."""

from __future__ import annotations

from fluxtracker.simnet import history
from fluxtracker.simnet import records as a
from fluxtracker.simnet.history import FLUX, customer, digest
from fluxtracker.simnet.records import Input, Output, Tx

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


class Maker(history.Maker):
    """Makes transactions with every documented peculiarity."""

    kinds = KINDS

    def _several_senders(self, number: int, progress: float) -> Tx:
        """Pay from several inputs: the first sender decides, so a tracked address after it changes nothing."""
        tx = self._app_payment(number, progress, [Output(a.MAIN, self._sat())], self._sender())
        second = Input(self.rng.choice((a.MAIN, a.TEAM)), digest(self.seed, "second", number), 1, 5 * FLUX)
        tx.inputs = (*tx.inputs, second)
        return tx

    def _binary(self, number: int, progress: float) -> Tx:
        data = b"\xff" + self.rng.randbytes(31)
        return self._paid(number, [Output(self._address(), self._sat())], sender=self._sender(), data=data)

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

    def _price_message(self, number: int, progress: float) -> Tx:
        return self._paid(number, [Output(a.MAIN, FLUX)], sender=a.MAIN, data=b"p_3_1_0.5_0.01_1")

    def _coinbase(self, number: int, progress: float) -> Tx:
        outputs = (Output(a.FUND, FLUX // 2), Output(a.MAIN, FLUX), Output(customer(1), 9 * FLUX))
        return Tx("", (Input(None, "", 0, 0, coinbase=True),), outputs)

    def _untold_sender(self, number: int, progress: float) -> Tx:
        """Pay from a sender that the sources do not name; the spent transaction names it."""
        choices = [(self._sender(), self._sat()), (a.DEVELOPMENT, a.FREE_FEE_SAT), (a.MAIN, self._sat())]
        sender, sat = choices[number % 3]
        tx = self._paid(number, [Output(a.MAIN, sat)], sender=sender)
        tx.inputs = tuple(spent._replace(named=False) for spent in tx.inputs)
        return tx

    def _shielded(self, number: int, progress: float) -> Tx:
        """Pay from the shielded pool: there is no input to name a sender."""
        return Tx("", (), (Output(self._address(), self._sat()),))

    def _odd_script(self, number: int, progress: float) -> Tx:
        """Pay with one output that has no address; Blockbook then says `addresses: null`."""
        outputs = [Output(None, 1000), Output(a.MAIN, self._sat())]
        return self._paid(number, outputs, sender=self._sender())
