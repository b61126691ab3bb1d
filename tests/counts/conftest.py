"""The networks of the system tests, in this process."""

from tests.system.conftest import build, in_process

__all__ = ["build", "in_process"]
