"""The web process's own configuration, but it waits seconds for a client instead of half a minute."""

from fluxtracker import clients
from fluxtracker.webserver import *  # noqa: F403

clients.PATIENCE = 3.0
