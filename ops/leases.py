"""Limit a task to one process: a lease is a row that is taken by a conditional UPDATE.

A lease expires 60 s after its last renewal; a heartbeat renews it every 15 s. All times come from the database's
clock, so that hosts with different clocks agree. A lease that ends later than possible was written before that clock
was set back, and has expired. The holder's name has host, pid and process start, so a dead holder on the same host
is replaced at once (docs/contract.md#schedule). It has the start twice: as a readable time, and in the token as
marked by `supervisor.processes`, which decides.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil
import structlog
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import DateTimeField, DurationField, ExpressionWrapper, Func, Q, Value
from django.db.models.expressions import Combinable
from django.utils import timezone

from fluxtracker.supervisor import processes
from ops.models import Lease

log = structlog.get_logger(__name__)

LIFETIME = timedelta(seconds=60)
CORRECTED = timedelta(seconds=5)  # by which a clock may be set back without ending a lease
HEARTBEAT_S = 15.0
POLL_S = 0.5


class LeaseHeld(Exception):
    """This task is already running."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"{name} is already running ({describe(holder)})")
        self.name = name
        self.holder = holder


class LeaseLost(Exception):
    """The lease went to another process: nothing more may be committed."""


def describe(holder: str) -> str:
    host, pid = [*holder.split(":"), "", ""][:2]
    return f"pid {pid} on {host}" if pid else "an unknown process"


def make_holder() -> str:
    """Return `host:pid:process start:token`, unique per attempt to take a lease."""
    process = psutil.Process()
    token = f"{processes.mark(process.pid)}.{secrets.token_hex(4)}"
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}:{token}"


def is_dead(holder: str) -> bool:
    """Return whether the holder was a process of this host that has ended. False if unknown.

    It is unknown after a restart of the machine, as another host may have our name.
    """
    parts = holder.rsplit(":", 3)
    if len(parts) != 4 or parts[0] != socket.gethostname() or not parts[1].isdecimal():
        return False
    marked = parts[3].rpartition(".")[0] or parts[2]
    return processes.is_gone(int(parts[1]), marked)


def database_time(later: timedelta = timedelta(0)) -> Combinable:
    """Return the database's time plus `later` as an expression. On SQLite the clock is this host's."""
    if connection.vendor != "postgresql":
        return Value(timezone.now() + later, DateTimeField())
    return ExpressionWrapper(Func(function="CLOCK_TIMESTAMP") + Value(later, DurationField()), DateTimeField())


def database_now() -> datetime:
    """Return the database's time."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT CLOCK_TIMESTAMP()")
        now: datetime = cursor.fetchone()[0]
    return now


def living() -> Q:
    """Return the held leases: those that end between now and the latest possible end."""
    return Q(expires_at__gt=database_time(), expires_at__lte=database_time(LIFETIME + CORRECTED)) & ~Q(holder="")


def try_take(name: str, holder: str) -> str | None:
    """Take the lease. Return None if it is ours now, else its holder."""
    mine = {"holder": holder, "taken_at": database_time(), "expires_at": database_time(LIFETIME)}
    row = Lease.objects.filter(name=name)
    if row.exclude(living()).update(**mine):
        return None
    current = row.values_list("holder", flat=True).first()
    if current is None:
        Lease.objects.bulk_create([Lease(name=name)], ignore_conflicts=True)
        return try_take(name, holder)
    if current and is_dead(current) and row.filter(holder=current).update(**mine):
        log.info("lease_taken_from_the_dead", lease=name, holder=current)
        return None
    return current or "unknown"


def holder_of(name: str) -> str | None:
    """Return the holder, unless known to be dead; None: it is free."""
    holder = Lease.objects.filter(living(), name=name).values_list("holder", flat=True).first()
    return None if holder is None or is_dead(holder) else holder


def held(names: Collection[str]) -> set[str]:
    """Return which of these leases have a holder not known to be dead. One query."""
    rows = Lease.objects.filter(living(), name__in=names).values_list("name", "holder")
    return {name for name, holder in rows if not is_dead(holder)}


def renew(name: str, holder: str) -> bool:
    """Renew the lease. Return False if it is no longer ours."""
    row = Lease.objects.filter(name=name, holder=holder, expires_at__gt=database_time())
    return bool(row.update(expires_at=database_time(LIFETIME)))


def release(name: str, holder: str) -> None:
    Lease.objects.filter(name=name, holder=holder).update(holder="", expires_at=None)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease held by this process."""

    name: str
    holder: str

    def guard(self) -> None:
        """Raise LeaseLost unless the lease is ours, and lock it until the commit. Call inside a transaction."""
        row = Lease.objects.select_for_update().filter(
            name=self.name, holder=self.holder, expires_at__gt=database_time()
        )
        if not row.exists():
            raise LeaseLost(f"the lease {self.name} went to another process")


@contextmanager
def hold(name: str, *, wait: float = 0.0) -> Iterator[Held]:
    """Hold the lease during the block. Raise LeaseHeld if it is not free within `wait` seconds."""
    holder = make_holder()
    give_up = time.monotonic() + wait
    while (other := try_take(name, holder)) is not None:
        if time.monotonic() >= give_up:
            raise LeaseHeld(name, other)
        time.sleep(POLL_S)
    stop = threading.Event()
    beat = threading.Thread(target=_heartbeat, args=(name, holder, stop), name=f"lease {name}", daemon=True)
    try:
        beat.start()
        yield Held(name, holder)
    finally:
        stop.set()
        _release_if_possible(name, holder)


def _heartbeat(name: str, holder: str, stop: threading.Event) -> None:
    """Renew until stopped. If the database is briefly away, try again at the next beat."""
    while not stop.wait(HEARTBEAT_S):
        try:
            if not renew(name, holder):
                log.warning("lease_lost", lease=name)
                return
        except DatabaseError as error:
            if not stop.is_set():  # otherwise it was just released
                log.warning("lease_not_renewed", lease=name, error=type(error).__name__)
        finally:
            connection.close()


def _release_if_possible(name: str, holder: str) -> None:
    """Release the lease; without the database it expires."""
    try:
        release(name, holder)
    except DatabaseError as error:
        log.warning("lease_not_released", lease=name, error=type(error).__name__)
