"""`manage.py simulate_network`: serve a simulated Flux network on this machine until somebody stops it."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fluxtracker.simnet.server import SimServer
from fluxtracker.simnet.world import World


def whole(low: int, high: int) -> Any:
    """Return an argparse type: a whole number between two others."""

    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ArgumentTypeError(f"expected a whole number from {low} to {high}")
        return int(text)

    return read


def positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.05 <= value <= 3600:
        raise ArgumentTypeError("expected seconds from 0.05 to 3600")
    return value


def share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1000:
        raise ArgumentTypeError("expected a number from 0 to 1000")
    return value


def remembered(path: Path, started: datetime) -> datetime:
    """Return the instant that an earlier start left in a file, else this start's, left there for the next."""
    try:
        if path.exists():
            return datetime.fromisoformat(path.read_text().strip()).astimezone(UTC)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(started.isoformat())
    except (OSError, ValueError) as error:
        raise CommandError(f"--remember {path}: {error}") from None
    return started


class Command(BaseCommand):
    help = "Serve simulated upstreams on 127.0.0.1: a Flux network of one's own, the same for one seed."
    requires_system_checks = []
    world_class, server_class = World, SimServer

    def add_arguments(self, parser: ArgumentParser) -> None:
        add = parser.add_argument
        add("--port", type=whole(0, 65_535), default=8900, help="0: any free one (default: 8900)")
        add("--payments", type=whole(0, 1_000_000), default=2000, help="in the past (default: 2000)")
        add("--days", type=whole(1, 3000), default=400, help="length of the past (default: 400)")
        add("--nodes", type=whole(0, 20_000), default=200, help="default: 200")
        add("--containers", type=whole(0, 200_000), default=0, help="about so many (default: what the apps have)")
        add("--old-fluxinfo", type=whole(0, 1), default=0, help="1: most nodes are older than FluxOS 8.18")
        add("--seed", type=whole(0, 2**31), default=1, help="another seed, another network (default: 1)")
        add("--block-seconds", type=positive, default=30.0, help="time between new blocks (default: 30)")
        add("--payments-per-block", type=share, default=0.2, help="in new blocks (default: 0.2)")
        add("--old-messages", type=whole(0, 200_000), default=2000, help="of other apps (default: 2000)")
        add("--spent-index", type=whole(0, 1), default=1, help="0: the daemon names no senders")
        add("--remember", metavar="FILE", type=Path, help="keep the start in FILE; a restart goes on from it")
        add("--gzip", action="store_true", help="compress for clients that accept it")

    def handle(self, *args: Any, **options: Any) -> None:
        ended = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: ended.set())
        server = self._server(self._world(options), options)
        with server:
            if options["verbosity"]:
                self._announce(server)
            ended.wait()
        if options["verbosity"]:
            self.stdout.write("The simulated network has stopped.")

    def _world(self, options: dict[str, Any]) -> World:
        """Build the network, with progress on a terminal."""
        payments = options["payments"]

        def show(done: int, what: str = "Building the past") -> None:
            if self.stderr.isatty():
                self.stderr.write(f"\r{what}: {done} of {payments} payments", ending="")

        started = datetime.now(UTC).replace(microsecond=0)
        world = self.world_class(
            seed=options["seed"],
            payments=payments,
            days=options["days"],
            nodes=options["nodes"],
            block_seconds=options["block_seconds"],
            old_messages=options["old_messages"],
            containers=options["containers"],
            images=bool(options["old_fluxinfo"]),
            payments_per_block=options["payments_per_block"],
            progress=show,
            since=remembered(options["remember"], started) if options["remember"] else started,
        )
        show(payments)
        world.warm()
        if self.stderr.isatty():
            self.stderr.write("")
        return world

    def _server(self, world: World, options: dict[str, Any]) -> SimServer:
        try:
            return self.server_class(
                world, options["port"], gzip=options["gzip"], spent_index=bool(options["spent_index"])
            )
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
        for name, value in server.env().items():
            self.stdout.write(f"{name}={value}")
        self.stdout.flush()
