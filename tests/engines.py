"""Find the databases, brokers and browsers that this machine has for the tests."""

from __future__ import annotations

import os
import shutil

import psycopg
import redis

POSTGRES = "postgres://postgres@127.0.0.1:5432/test"
REDIS = "redis://127.0.0.1:6379/15"
NO_WAIT = "-c synchronous_commit=off"  # no test kills the server, so nothing is lost that was not yet on the disk
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

SECOND = "TESTS_SECOND_ENGINE"  # set where everything has run on SQLite: what touches no engine does not run again
BOTH = "TESTS_BOTH_ENGINES"  # set where a run goes over both: of a number of random tries each does half


def production(*, beside: int = 0) -> dict[str, str]:
    """The settings that run the tests on PostgreSQL and Redis; `beside` numbers those that run at the same time."""
    postgres = os.environ.get("TEST_DATABASE_URL") or POSTGRES
    broker = os.environ.get("TEST_REDIS_URL") or REDIS
    if beside:  # Django makes its own database, named after this one
        server, _, number = broker.rpartition("/")
        postgres, broker = f"{postgres}_beside_{beside}", f"{server}/{(int(number) - beside) % 16}"
    return {"DATABASE_URL": postgres, "REDIS_URL": broker, "PGOPTIONS": NO_WAIT}


def missing() -> list[str]:
    """What of PostgreSQL and Redis does not answer, with the reason."""
    return [reason for reason in (_postgres_trouble(), _redis_trouble()) if reason]


def chromium() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _postgres_trouble() -> str:
    address = production()["DATABASE_URL"]
    server, _, _ = address.rpartition("/")
    try:
        psycopg.connect(f"{server}/postgres", connect_timeout=3).close()
    except psycopg.Error as error:
        return f"PostgreSQL: {str(error).splitlines()[0]}"
    return ""


def _redis_trouble() -> str:
    try:
        redis.Redis.from_url(production()["REDIS_URL"], socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        return f"Redis: {error}"
    return ""
