"""`python -m tests.simnet.serve`: `simulate_network` with faults, and with the door for other processes."""

from __future__ import annotations

import os
import sys

import django

from fluxtracker.management.commands import simulate_network
from tests.simnet.server import SimServer
from tests.simnet.world import World


class Command(simulate_network.Command):
    world_class, server_class = World, SimServer


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
    django.setup()
    Command().run_from_argv([sys.executable, "tests.simnet.serve", *sys.argv[1:]])
