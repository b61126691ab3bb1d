import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker.upstream.http.client import Cancelled, Http
from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from fluxtracker.upstream.http.limits import Pace, Shared

URL = "https://node.example/api/thing"
OTHER = "https://node.example/prices/now"


def fail(http, url=URL, endpoint=None):
    with pytest.raises(Unavailable) as caught:
        http.get_json(url, endpoint=endpoint)
    return str(caught.value)


@given(
    st.sampled_from([0.5, 1.0, 2.5, 4.0, 100.0]),
    st.lists(st.floats(min_value=0, max_value=0.6), min_size=1, max_size=60),
)
def test_no_second_holds_more_requests_than_allowed(rate, gaps):
    pace, now, sent = Pace(), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(now + pace.reserve("host", rate, now))
    many = max(1, int(rate))
    window = many / rate
    assert all(later - earlier >= window - 1e-6 for earlier, later in zip(sent, sent[many:], strict=False))
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(sent))


def test_a_few_requests_after_a_rest_do_not_wait():
    pace = Pace()
    assert [pace.reserve("host", 4, 10.0) for _ in range(4)] == [0, 0, 0, 0]
    assert pace.reserve("host", 4, 10.0) == 1.0


def test_hosts_do_not_wait_for_each_other():
    pace = Pace()
    assert [pace.reserve(f"host {n}", 1, 10.0) for n in range(5)] == [0] * 5


def test_no_rate_is_no_limit():
    pace = Pace()
    assert {pace.reserve("host", 0, 10.0) for _ in range(1000)} == {0}


def test_threads_share_the_pace():
    pace, waits = Pace(), []
    threads = [threading.Thread(target=lambda: waits.append(pace.reserve("host", 1, 10.0))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == list(range(20))


def test_a_client_waits_for_its_turn(web, clock):
    http = Http(timeout=5, rate=2, sleep=clock.sleep, clock=clock)
    web.get(URL, json=1)
    for _ in range(5):
        http.get_json(URL)
    assert clock.slept == [1.0, 1.0]


def test_two_clients_of_a_process_share_the_pace(web, clock):
    shared = Shared()
    web.get(URL, json=1)
    for _ in range(3):
        Http(timeout=5, rate=1, sleep=clock.sleep, clock=clock, shared=shared).get_json(URL)
    assert clock.slept == [1.0, 1.0]


def test_after_two_failed_calls_nothing_is_sent_for_a_while(web, http, clock):
    web.get(URL, status=500)
    fail(http)
    fail(http)
    sent = http.requests
    assert "not asked" in fail(http)
    clock.now += 29
    assert "not asked" in fail(http)
    assert http.requests == sent


def test_then_one_good_call_closes_the_circuit(web, http, clock):
    web.get(URL, status=500)
    fail(http)
    fail(http)
    clock.now += 31
    web.reset()
    web.get(URL, json=1)
    assert [http.get_json(URL), http.get_json(URL)] == [1, 1]


def test_a_trial_that_is_called_off_leaves_its_place_to_the_next_call(web, http, clock, monkeypatch):
    web.get(URL, status=503)
    fail(http)
    fail(http)
    clock.now += 31
    with monkeypatch.context() as patched:
        patched.setattr(http, "_opened", called_off)
        with pytest.raises(Cancelled):
            http.get_json(URL)
    assert "not asked" not in fail(http)


def called_off(*_):
    raise Cancelled


def test_a_failed_trial_keeps_the_circuit_open(web, http, clock):
    web.get(URL, status=500)
    fail(http)
    fail(http)
    clock.now += 31
    assert "HTTP 500" in fail(http)
    assert "not asked" in fail(http)


def test_while_one_call_tries_the_others_are_refused(web, http, clock):
    web.get(URL, status=500)
    fail(http)
    fail(http)
    clock.now += 31
    seen = []
    web.reset()
    web.add_callback("GET", URL, lambda request: seen.append(fail(http)) or (200, {}, "1"))
    assert http.get_json(URL) == 1
    assert "not asked" in seen[0]


def test_a_wrong_answer_is_an_answer(web, http):
    web.get(URL, body="<html>")
    for _ in range(4):
        with pytest.raises(BadAnswer):
            http.get_json(URL)
    assert http.requests == 4


def test_failures_that_are_not_in_a_row_open_nothing(web, http):
    for _ in range(3):
        web.get(URL, status=500)
        fail(http)
        web.reset()
        web.get(URL, json=1)
        assert http.get_json(URL) == 1
        web.reset()


def test_endpoints_on_one_host_fail_apart(web, http):
    web.get(URL, status=500)
    web.get(OTHER, json=1)
    fail(http, endpoint="https://node.example/api")
    fail(http, endpoint="https://node.example/api")
    assert http.get_json(OTHER, endpoint="https://node.example/prices") == 1


def test_a_new_process_begins_with_closed_circuits(web, http, clock):
    web.get(URL, status=500)
    fail(http)
    fail(http)
    web.reset()
    web.get(URL, json=1)
    assert Http(timeout=5, rate=0, sleep=clock.sleep, clock=clock).get_json(URL) == 1


def test_a_failed_stream_counts_as_a_failed_call(web, http):
    web.get(URL, status=500)
    for _ in range(2):
        with pytest.raises(Unavailable), http.open_stream(URL):
            pass
    assert "not asked" in fail(http)
