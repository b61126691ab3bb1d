"""Payments of one's own, for tests and demonstrations."""

from __future__ import annotations

from collections.abc import Iterable

from fluxtracker.simnet.addresses import MAIN
from fluxtracker.simnet.catalogue import App, Component
from fluxtracker.simnet.history import FLUX, customer, digest
from fluxtracker.simnet.records import Input, Known, Output, Tx


class MakesPayments:
    """The part of a world that makes transactions which no block holds yet."""

    seed: int
    _made: int

    def payment(
        self,
        sat: int = 10 * FLUX,
        app: str | App | None = None,
        outputs: Iterable[tuple[str, int]] | None = None,
        sender: str | None = None,
        address: str = MAIN,
        *,
        data: bytes | None = None,
        known: Known | str = Known.YES,
        more_senders: Iterable[str] = (),
        git: bool = False,
        told: bool = True,
        found: bool = True,
        coinbase: bool = False,
        change: int = 3 * FLUX,
        after: Iterable[Output] = (),
        txid: str | None = None,
    ) -> Tx:
        """A transaction for `mine`, `broadcast` or `add`: `sat` to `address`, or the `outputs` given.

        `app` puts a message hash into an OP_RETURN, `data` other bytes; `after` are outputs behind it.
        `told=False`: the sources do not name the sender, which is the owner of the first input; `found=False`: nor
        do they know the transaction that it spends. The sources name `more_senders`.
        """
        self._made += 1
        number = self._made
        paid = [Output(to, amount) for to, amount in (outputs or [(address, sat)])]
        payer = sender or customer(number)
        spent = Input(payer, digest(self.seed, "made previous", number), number % 3, 0, told, found)
        if change and not coinbase:
            paid.append(Output(payer, change))
        tx = Tx(txid or digest(self.seed, "made", number), (), ())
        if app is not None:
            tx.app = self._app(app, git)
            tx.message_hash = digest(self.seed, "made message", number)
            data = tx.message_hash.encode()
        if data is not None:
            paid.append(Output(None, 0, data))
        paid += after
        tx.known = Known(known)
        tx.outputs = tuple(paid)
        spent = spent._replace(sat=sum(o.sat for o in paid))
        tx.inputs = (Input(None, "", 0, 0, coinbase=True) if coinbase else spent,)
        for place, other in enumerate(more_senders):
            tx.inputs += (Input(other, digest(tx.txid, "spends", place), 1, FLUX),)
        return tx

    def _app(self, app: str | App, git: bool) -> App:
        if isinstance(app, App):
            return app
        tag = "runonflux/orbit:latest" if git else "nginx:latest"
        parts = (Component("web", tag, 0.5, 500, 5),)
        return App(app, 8, "1HsodCjRyFSbbtYVXCSTYYX8DJkUKVQd64", parts, instances=3, expire=88_000)
