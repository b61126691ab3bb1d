"""One at a time across processes."""

import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta

import psutil
import pytest
import time_machine
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from fluxtracker.supervisor import processes
from ops import leases
from ops.models import Lease
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


def test_a_second_holder_is_told_who_has_it():
    with leases.hold("work"), pytest.raises(leases.LeaseHeld) as told, leases.hold("work"):
        pytest.fail("two holders")
    assert f"pid {os.getpid()} on {socket.gethostname()}" in str(told.value)


def test_it_is_free_after_the_block_and_after_an_error():
    with pytest.raises(ZeroDivisionError), leases.hold("work"):
        1 / 0  # noqa: B018
    with leases.hold("work") as held, transaction.atomic():
        held.guard()


def holder_of(pid, place=None):
    """As the process itself would name it; with another `place`, as one of the same id and start there."""
    marked = processes.mark(pid)
    if place is not None:
        marked = f"{place}-{marked.rpartition('-')[2]}"
    return f"{socket.gethostname()}:{pid}:1795830168.38:{marked}.abcd"


def aged(seconds):
    """As if the lease had been renewed so much earlier."""
    Lease.objects.update(expires_at=F("expires_at") - timedelta(seconds=seconds))


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def test_a_dead_holder_on_this_host_is_replaced_at_once(sleeper):
    dead = holder_of(sleeper.pid)
    assert leases.try_take("work", dead) is None
    assert leases.try_take("work", "me") == dead
    sleeper.kill()
    sleeper.wait()
    assert leases.try_take("work", "me") is None


def test_a_holder_that_waits_to_be_reaped_is_dead(sleeper):
    dead = holder_of(sleeper.pid)
    sleeper.kill()
    assert eventually(lambda: leases.is_dead(dead))


def test_the_name_carries_host_pid_and_process_start():
    host, pid, started, token = leases.make_holder().split(":")
    assert (host, int(pid)) == (socket.gethostname(), os.getpid())
    assert float(started) == pytest.approx(psutil.Process().create_time(), abs=0.01)
    assert token
    longest = leases.make_holder().replace(host, "h" * 64)
    assert len(longest) <= Lease._meta.get_field("holder").max_length


def test_a_pid_that_was_given_to_another_process_is_no_living_holder():
    mine = leases.make_holder()
    mark = processes.mark(os.getpid())
    earlier = f"{mark.rpartition('-')[0]}-1" if "-" in mark else "1000.00"
    assert leases.is_dead(mine.replace(mark, earlier))
    assert not leases.is_dead(mine)


@pytest.mark.parametrize("seconds", [-3600, -2, 2, 3600])
def test_a_living_holder_lives_whatever_happens_to_the_clock(monkeypatch, seconds):
    linux = pytest.importorskip("psutil._pslinux")
    mine = leases.make_holder()
    assert leases.try_take("work", mine) is None
    before = linux.boot_time()
    monkeypatch.setattr(linux, "boot_time", lambda: before + seconds)
    assert psutil.Process().create_time() == pytest.approx(float(mine.split(":")[2]) + seconds, abs=0.1)
    assert leases.try_take("work", "me") == mine


@pytest.mark.parametrize("place", ["00000000-4026531836", "191cfa8b-1"])
def test_of_another_boot_or_a_container_of_the_same_name_nobody_knows(sleeper, place):
    elsewhere = holder_of(sleeper.pid, place)
    assert leases.try_take("work", elsewhere) is None
    sleeper.kill()
    sleeper.wait()
    assert leases.try_take("work", "me") == elsewhere
    aged(61)
    assert leases.try_take("work", "me") is None


def test_without_proc_the_start_on_the_wall_clock_decides(monkeypatch, tmp_path, sleeper):
    monkeypatch.setattr(processes, "BOOT", tmp_path / "none")
    mine, other = leases.make_holder(), holder_of(sleeper.pid)
    assert not leases.is_dead(mine)
    assert leases.is_dead(mine.replace(mine.split(":")[3], "1000.00.abcd"))
    sleeper.kill()
    sleeper.wait()
    assert leases.is_dead(other)


def test_a_holder_of_an_older_version_is_dead_when_its_id_is_free():
    host = socket.gethostname()
    assert leases.is_dead(f"{host}:999999:1.00:abcd")
    assert not leases.is_dead(f"{host}:{os.getpid()}:{psutil.Process().create_time():.2f}:abcd")


@pytest.mark.parametrize(
    "holder", ["", "me", "{host}:x:1.00:abcd", "{host}:-1:1.00:abcd", "{host}:99999999999999:a:b-c.d"]
)
def test_what_is_no_holders_name_is_not_judged(holder):
    assert not leases.is_dead(holder.format(host=socket.gethostname()))


def test_a_silent_holder_elsewhere_is_replaced_after_a_minute():
    assert leases.try_take("work", "elsewhere:1:2.00:abcd") is None
    aged(45)
    assert leases.try_take("work", "me") == "elsewhere:1:2.00:abcd"
    aged(16)
    assert leases.try_take("work", "me") is None


@pytest.mark.parametrize(("ahead", "over"), [(2, False), (45, True), (600, True), (21_600, True), (3 * 10**9, True)])
def test_a_lease_that_ends_later_than_one_can_is_over(ahead, over):
    """Its clock ran ahead and was set right."""
    assert leases.try_take("work", "elsewhere:1:2.00:abcd") is None
    aged(-ahead)
    assert (leases.holder_of("work") is None) is over
    assert (leases.try_take("work", "me") is None) is over


def test_a_living_holder_brings_its_lease_back_in_line():
    with leases.hold("work") as held:
        aged(-21_600)
        with transaction.atomic():
            held.guard()
        assert leases.renew("work", held.holder)
        assert leases.try_take("work", "me") == held.holder


@pytest.mark.postgresql
@pytest.mark.parametrize("minutes", [-90, -1, 1, 90])
def test_hosts_whose_clocks_differ_agree(minutes):
    assert leases.try_take("work", "one:1:2.00:abcd") is None
    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
        assert leases.try_take("work", "other:1:2.00:abcd") == "one:1:2.00:abcd"
        assert leases.holder_of("work") == "one:1:2.00:abcd"
        assert leases.renew("work", "one:1:2.00:abcd")
    assert leases.try_take("work", "other:1:2.00:abcd") == "one:1:2.00:abcd"


def test_a_holder_that_lost_it_may_neither_renew_nor_write():
    with leases.hold("work") as held:
        Lease.objects.update(holder="somebody:1:2.00:abcd")
        assert not leases.renew("work", held.holder)
        with transaction.atomic(), pytest.raises(leases.LeaseLost):
            held.guard()
    assert Lease.objects.get().holder == "somebody:1:2.00:abcd"


def test_of_many_that_try_at_once_one_wins():
    if connection.vendor == "sqlite" and connection.is_in_memory_db():
        tries = [leases.try_take("work", f"host:{n}:1.00:abcd") for n in range(8)]
    else:
        tries = _race(8)
    assert tries.count(None) == 1


def _race(n):
    start, results = threading.Barrier(n), []

    def compete(number):
        try:
            start.wait()
            results.append(leases.try_take("work", f"host:{number}:1.00:abcd"))
        finally:
            connection.close()

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
