"""The web process's own configuration, but a test says how long it waits for a client, and it parts from none soon."""

import os

from fluxtracker import clients
from fluxtracker.webserver import *  # noqa: F403

clients.PATIENCE = float(os.environ["CLIENT_PATIENCE"])
clients.PARTING = 600.0
