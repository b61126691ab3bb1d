"""The project: settings, processes, clients of the upstreams, and what all apps share."""

__version__ = "0.1.0"
