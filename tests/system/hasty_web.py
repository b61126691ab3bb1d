"""The web process's own configuration, but a test says how long it waits for a client, and it parts from none soon."""

import os

from fluxtracker.web import workers as web_workers  # `workers` is a setting of gunicorn's
from fluxtracker.web.server import *  # noqa: F403

web_workers.PATIENCE = float(os.environ["CLIENT_PATIENCE"])
web_workers.PARTING = 600.0
