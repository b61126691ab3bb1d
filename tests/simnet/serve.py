"""Run `python -m tests.simnet.serve`: `simulate_network` with faults, control by other processes and more options."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from typing import Any

import django

from fluxtracker.management.commands import simulate_network
from fluxtracker.management.commands.simulate_network import between
from tests.simnet.server import SimServer
from tests.simnet.world import World


class Command(simulate_network.Command):
    world_class, server_class = World, SimServer

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add = parser.add_argument
        add("--containers", type=between(0, 200_000), default=0, help="about so many (default: those of the apps)")
        add("--old-fluxinfo", type=between(0, 1), default=0, help="1: most nodes are older than FluxOS 8.18")
        add("--gzip", action="store_true", help="compress for clients that accept it")

    def world_options(self, options: dict[str, Any]) -> dict[str, Any]:
        own = {"containers": options["containers"], "images": bool(options["old_fluxinfo"])}
        return super().world_options(options) | own

    def server_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {"gzip": options["gzip"]}


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
    django.setup()
    Command().run_from_argv([sys.executable, "tests.simnet.serve", *sys.argv[1:]])
