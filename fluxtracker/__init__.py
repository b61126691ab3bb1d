"""The frame: settings, processes, the clients of the upstreams, and what every room shares."""

from fluxtracker.celery import app as celery_app

__all__ = ["celery_app"]
__version__ = "0.1.0"
