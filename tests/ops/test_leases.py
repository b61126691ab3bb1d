"""One at a time across processes."""

import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from ops import leases
from ops.models import Lease

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


def test_a_dead_holder_on_this_host_is_replaced_at_once():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    holder = leases.make_holder().split(":")
    started = leases.psutil.Process(process.pid).create_time()
    dead = ":".join([holder[0], str(process.pid), f"{started:.2f}", "abcd"])
    assert leases.try_take("work", dead) is None
    assert leases.try_take("work", "me") == dead
    process.kill()
    process.wait()
    assert leases.try_take("work", "me") is None


def test_a_pid_that_was_given_to_another_process_is_no_living_holder():
    parts = leases.make_holder().rsplit(":", 3)
    reborn = ":".join([parts[0], parts[1], "1000.00", parts[3]])
    assert leases.is_dead(reborn)
    assert not leases.is_dead(leases.make_holder())


def test_a_silent_holder_elsewhere_is_replaced_after_a_minute():
    assert leases.try_take("work", "elsewhere:1:2.00:abcd") is None
    with time_machine.travel(timezone.now() + timedelta(seconds=59), tick=False):
        assert leases.try_take("work", "me") == "elsewhere:1:2.00:abcd"
    with time_machine.travel(timezone.now() + timedelta(seconds=61), tick=False):
        assert leases.try_take("work", "me") is None


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
