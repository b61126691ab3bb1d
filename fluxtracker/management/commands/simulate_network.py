"""Serve a simulated Flux network on this machine until it is stopped: `manage.py simulate_network`."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fluxtracker.simnet.server import SimServer, settings_for
from fluxtracker.simnet.world import World


def between(low: float, high: float, kind: type[int] | type[float] = int) -> Callable[[str], float]:
    """Return an argparse type: a number in the range, whole unless `kind` is float."""

    def read(text: str) -> float:
        with suppress(ValueError):
            if low <= (value := kind(text)) <= high:
                return value
        raise ArgumentTypeError(f"expected a {'whole ' * (kind is int)}number from {low} to {high}")

    return read


def remembered(path: Path, started: datetime) -> datetime:
    """Return the start stored in the file, or write `started` there."""
    try:
        if path.exists():
            return datetime.fromisoformat(path.read_text().strip()).astimezone(UTC)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(started.isoformat())
    except (OSError, ValueError) as error:
        raise CommandError(f"--remember {path}: {error}") from None
    return started


class Command(BaseCommand):
    help = "Serve simulated upstreams on 127.0.0.1: a Flux network that is the same for the same seed."
    requires_system_checks = []
    world_class, server_class = World, SimServer

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--port", type=between(0, 65_535), default=8900, help="0: any free one (default: 8900)")
        add("--payments", type=between(0, 1_000_000), default=2000, help="in the past (default: 2000)")
        add("--days", type=between(1, 3000), default=400, help="length of the past (default: 400)")
        add("--nodes", type=between(0, 20_000), default=200, help="default: 200")
        add("--seed", type=between(0, 2**31), default=1, help="another seed, another network (default: 1)")
        add("--block-seconds", type=between(0.05, 3600, float), default=30.0, help="of a new block (default: 30)")
        add("--payments-per-block", type=between(0, 1000, float), default=0.2, help="in new blocks (default: 0.2)")
        add("--old-messages", type=between(0, 200_000), default=2000, help="of other apps (default: 2000)")
        add("--remember", metavar="FILE", type=Path, help="keep the start in FILE; a restart continues from it")

    def handle(self, *args: Any, **options: Any) -> None:
        ended = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: ended.set())
        with self._server(self._world(options), options) as server:
            if options["verbosity"]:
                self._announce(server)
            ended.wait()
        if options["verbosity"]:
            self.stdout.write("The simulated network has stopped.")

    def world_options(self, options: dict[str, Any]) -> dict[str, Any]:
        names = ("seed", "payments", "days", "nodes", "block_seconds", "old_messages", "payments_per_block")
        started = datetime.now(UTC).replace(microsecond=0)
        since = remembered(options["remember"], started) if options["remember"] else started
        return {name: options[name] for name in names} | {"since": since}

    def server_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {}

    def _world(self, options: dict[str, Any]) -> World:
        """Build the network, with progress on a terminal."""
        payments, terminal = options["payments"], self.stderr.isatty()

        def show(done: int) -> None:
            if terminal:
                self.stderr.write(f"\rBuilding the past: {done} of {payments} payments", ending="")

        world = self.world_class(**self.world_options(options), progress=show)
        show(payments)
        world.warm()
        if terminal:
            self.stderr.write("")
        return world

    def _server(self, world: World, options: dict[str, Any]) -> SimServer:
        try:
            return self.server_class(world, options["port"], **self.server_options(options))
        except OSError as error:
            raise CommandError(f"cannot listen on 127.0.0.1:{options['port']}: {error.strerror}") from None

    def _announce(self, server: SimServer) -> None:
        world = server.world
        self.stdout.write(
            f"Simulated Flux network at {server.url}: height {world.tip_height}, "
            f"{len(world.chain.by_txid)} payments in {world.days} days, {world.nodes} nodes, "
            f"a block every {world.chain.block_seconds:g} s. Ctrl-C stops it."
        )
        self.stdout.write("Point the project at it with:")
        for name, value in settings_for(server.url).items():
            self.stdout.write(f"{name}={value}")
        self.stdout.flush()
