"""The rows that a test's pages show: made once, put back before each test as far as the last one changed them."""

from __future__ import annotations

from collections.abc import Callable

from tests.remembered import Tables, put_back, standing


class Worlds:
    """Every world by the function that makes it."""

    def __init__(self) -> None:
        self.known: dict[Callable[[], object], Tables] = {}
        self.found = standing()

    def put(self, make: Callable[[], object]) -> None:
        """Have the tables hold what `make` puts into empty ones, and nothing else."""
        if make in self.known:
            put_back(self.known[make])
            return
        put_back({name: [] for name in self.found})
        make()
        self.known[make] = standing()

    def leave(self) -> None:
        """Have the tables as they were found."""
        put_back(self.found)
