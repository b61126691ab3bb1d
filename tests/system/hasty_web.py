"""The web process's own configuration, but a test says how long it waits for a client, and it parts from none soon."""

import os

from fluxtracker.web import workers
from fluxtracker.web.server import *  # noqa: F403

workers.PATIENCE = float(os.environ["CLIENT_PATIENCE"])
workers.PARTING = 600.0
