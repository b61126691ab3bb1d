"""The project: settings, processes, clients of the upstreams, and what all apps share."""

__version__ = "1.0.0"  # the only place: pyproject.toml, pages, the API and images take it from here
