"""The web process as it is, but a test says how long it waits for a client."""

import os
import sys
from importlib import import_module

import django

from fluxtracker.web import server

django.setup()
patience = float(os.environ["CLIENT_PATIENCE"])
server.PATIENCE_MS = server.HEAD_MS = int(1000 * patience)
vars(import_module("fluxtracker.web.asgi_app"))["PATIENCE_S"] = patience

if __name__ == "__main__":
    sys.exit(server.main())
