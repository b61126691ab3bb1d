"""The frame: settings, processes, the clients of the upstreams, and what every room shares."""

__version__ = "0.1.0"
