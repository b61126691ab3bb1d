import pytest
import responses as responses_library

from fluxtracker.upstream.chain.blockbook import Blockbook
from fluxtracker.upstream.http.client import Http
from tests.upstream.fake_blockbook import BASE, FakeBlockbook


class Clock:
    """A monotonic clock that only sleeping moves."""

    def __init__(self):
        self.now = 1000.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def http(clock):
    """A client that does not wait: retries and pauses move its clock."""
    return Http(timeout=5, rate=0, sleep=clock.sleep, clock=clock, random=lambda: 0.5)


@pytest.fixture
def web():
    """The network: what is not registered here cannot be reached."""
    with responses_library.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def fake(web):
    fake = FakeBlockbook()
    fake.register(web)
    return fake


@pytest.fixture
def blockbook(http):
    return Blockbook(http, BASE)
