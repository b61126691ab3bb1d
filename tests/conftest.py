import os
import time
from types import SimpleNamespace
from unittest import mock

import pytest
from django.core.cache import caches
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test import SimpleTestCase, TransactionTestCase
from hypothesis import settings

from fluxtracker.api.throttling import Counters, Window
from fluxtracker.upstream.http.limits import Shared
from ops import registry
from tests.engines import SECOND
from tests.marks import EXAMPLES
from tests.remembered import put_back, standing
from tests.system.home import POSTGRES

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=EXAMPLES)
settings.register_profile("dev", deadline=None, max_examples=EXAMPLES)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")


TOUCHING = {"db", "transactional_db", "live_server", "template", "home", "empty_home", "engine"}


def touches(item):
    """Whether a test has anything to do with a database or a broker."""
    marked = item.get_closest_marker("django_db") or item.get_closest_marker("engine")
    is_case = bool(getattr(item, "cls", None)) and issubclass(item.cls, SimpleTestCase)
    return bool(marked or is_case or TOUCHING & set(item.fixturenames))


LONG = {"chromium", "template", "empty_home"}


def takes_long(item):
    """Return whether a test has a browser or an installation of its own."""
    return bool(LONG & set(item.fixturenames))


def pytest_collection_modifyitems(config, items):
    """Tests of what only one engine has are none on the other: not skipped, for there is nothing to miss.

    Nor are those on the second engine that touch none. Of those that take long, `make test` runs the `quick` ones.
    """
    for item in items:
        if takes_long(item) and not item.get_closest_marker("quick"):
            item.add_marker(pytest.mark.slow)
    others = [item for item in items if item.get_closest_marker("sqlite" if POSTGRES else "postgresql")]
    if os.environ.get(SECOND):
        others += [item for item in items if not touches(item)]
    config.hook.pytest_deselected(items=others)
    left_out = set(others)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def closed_circuits(monkeypatch):
    """Every test is a process of its own as far as pace and circuits towards the upstreams go."""
    monkeypatch.setattr("fluxtracker.upstream.http.client.PROCESS", Shared())


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch):
    """The same for what its clients have asked."""
    monkeypatch.setattr("fluxtracker.api.throttling.window", Window("", Counters()))
    monkeypatch.setattr("fluxtracker.api.throttling.pages", Window("", Counters()))


@pytest.fixture(autouse=True)
def quick_passwords(settings):
    """A password of a test's user need not cost half a second of a core."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def static_files_when_asked(settings):
    """A client of a test need not look at every static file first, as a web process does once at its start."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def nothing_kept():
    """The same for the answers that a process keeps for its readers."""
    from deployments.customers import payers_of, rates_of, retention_of
    from reports.kpi_report import figures_of

    caches["local"].clear()
    figures_of.cache_clear()
    payers_of.cache_clear()
    retention_of.cache_clear()
    rates_of.cache_clear()


@pytest.fixture(autouse=True)
def comparisons_made_by_readers(request, monkeypatch):
    """Making the comparisons ahead takes a third of a command's time, and few tests read one."""
    if not request.node.get_closest_marker("warm"):
        registry.discover("services")  # or what registers during the test would be called
        monkeypatch.setattr("ops.registry.on_change.functions", [])


def commits(request):
    """Whether what the test writes is there for other connections, too."""
    marker = request.node.get_closest_marker("django_db")
    asked = bool(marker and marker.kwargs.get("transaction"))
    return asked or bool({"transactional_db", "live_server"} & set(request.fixturenames))


@pytest.fixture(autouse=True)
def leases_outlive_the_test(request, monkeypatch):
    """Heartbeats have connections of their own, to which the lease or job of a test that commits nothing looks lost."""
    if not commits(request):
        monkeypatch.setattr("ops.leases.HEARTBEAT_S", 3_600.0)
        monkeypatch.setattr("ops.jobs.worker.EVERY_S", 3_600.0)


@pytest.fixture(scope="session")
def migrated(django_db_setup, django_db_blocker):
    """Return the rows of each table as the migrations left them."""
    with django_db_blocker.unblock():
        if POSTGRES:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM")  # the rows of tests that were rolled back, through which every query goes
        return standing()


@pytest.fixture(scope="session", autouse=True)
def never_flushed():
    """Keep Django from emptying every table after a test that commits, and from making the first rows of all again."""
    with mock.patch.object(TransactionTestCase, "_fixture_teardown"):
        yield


@pytest.fixture(autouse=True)
def rows_put_back(request):
    """Restore the tables that a test has changed for good."""
    if not commits(request):
        yield
        return
    tables = request.getfixturevalue("migrated")
    request.getfixturevalue("transactional_db")
    yield
    put_back(tables)


@pytest.fixture
def staff(django_user_model):
    """Alice is of the staff, and no superuser."""
    return django_user_model.objects.create_user("alice", password="of-the-staff-1", is_staff=True)


@pytest.fixture
def limited(settings, monkeypatch):
    """A client has three requests per minute, and this minute does not end while a slow machine sends them."""
    settings.API_RATE = 3
    clock = SimpleNamespace(time=lambda: 1_800_000_030.0, monotonic=time.monotonic)
    monkeypatch.setattr("fluxtracker.api.throttling.time", clock)


@pytest.fixture
def kept_connection():
    """As Django's own test client does: the test's transaction outlives a request."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def sent(monkeypatch):
    """The numbers of the jobs that were given to a broker that loses them."""
    numbers = []
    monkeypatch.setattr("ops.jobs.services.send", numbers.append)
    return numbers


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory, django_db_modify_db_settings):
    """On SQLite the tests work on a file, as everybody does.

    In memory all threads share one connection, and with it its transactions and locks.
    """
    if connection.vendor == "sqlite":
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(path)
