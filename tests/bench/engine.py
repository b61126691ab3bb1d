"""Make empty databases for measurements."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests import engines


@contextmanager
def postgres(name: str = "bench") -> Iterator[str]:
    """The address of an empty database that is gone afterwards."""
    server, _, _ = engines.production()["DATABASE_URL"].rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def settings(engine: str) -> Iterator[dict[str, str]]:
    """The settings of an empty installation; its data dir is for the caller to choose."""
    if engine == "sqlite":
        yield {"DATABASE_URL": "", "REDIS_URL": ""}
        return
    with postgres() as address:
        yield {"DATABASE_URL": address, "REDIS_URL": engines.production()["REDIS_URL"]}
