"""A worker replaces those of its processes that have ended by forking, while its main process says that it is alive."""

from __future__ import annotations

import pytest

from tests.system.home import Home

pytestmark = pytest.mark.engine

# The sign of life has its connection open when the fork is asked for; the child begins after it was closed.
FORKING = """
import os, threading, time
from django.db import connection
from ops import heartbeat

connection.close()
at_work, say = threading.Event(), heartbeat.seen

def wait(execute, sql, params, many, context):
    if at_work.is_set() or not sql.startswith(("INSERT", "UPDATE")):
        return execute(sql, params, many, context)
    answer = execute(sql, params, many, context)
    at_work.set()
    time.sleep(1)
    return answer

def slowly(hostname):
    with connection.execute_wrapper(wait):
        say(hostname)

heartbeat.seen = slowly
heartbeat.start(sender=type("Sender", (), {"hostname": "main"}))
assert at_work.wait(180)
child = os.fork()
if child == 0:
    try:
        time.sleep(1.5)
        for number in range(3):
            say(f"child {number}")
            connection.close()
        os._exit(0)
    finally:
        os._exit(1)
heartbeat.stop()
assert os.waitpid(child, 0)[1] == 0, "the child cannot use the database"
"""


def test_a_process_that_is_made_during_the_sign_of_life_can_use_the_database(home: Home):
    done = home.manage("shell", "--no-imports", "-c", FORKING)
    assert done.code == 0, done.err
    names = [name for (name,) in home.query("SELECT hostname FROM ops_workerseen ORDER BY hostname")]
    assert names == ["child 0", "child 1", "child 2", "main"]
