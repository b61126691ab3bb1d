"""Hold the project's settings, processes, upstream clients and code shared by all apps."""

__version__ = "1.0.0"  # the only place: pyproject.toml, pages, the API and images read it from here
