"""One source alone never makes the ledger wrong."""

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fluxtracker.upstream.http.errors import BadAnswer, Unavailable
from revenue.sync.completeness import Unproved
from tests.marks import examples
from tests.revenue.conftest import CONFIRMATIONS, A, B
from tests.revenue.ledger_checks import assert_sums_hold, rows
from tests.revenue.proof.conftest import SHALLOW, assert_true, ledger_of_three, reset, three_of, unproved

pytestmark = pytest.mark.django_db

SEATS = ("a", "b", "daemon")
WITH_FIXTURES = [HealthCheck.function_scoped_fixture]
step = st.one_of(
    st.tuples(st.just("mine"), st.integers(1, 40)),
    st.tuples(st.just("leave"), st.sampled_from(SEATS), st.integers(SHALLOW + 1, 150), st.integers(-70, 70)),
    st.tuples(st.just("return"), st.just(0)),
    st.tuples(st.just("away"), st.sets(st.sampled_from(SEATS))),
    st.tuples(st.just("sync"), st.booleans()),
    st.tuples(st.just("reset"), st.just(0)),
)


@hypothesis_settings(max_examples=examples(25), deadline=None, suppress_health_check=WITH_FIXTURES)
@given(st.lists(step, min_size=2, max_size=14), st.sampled_from([9, 1000]))
def test_one_source_alone_never_makes_the_ledger_wrong(two_addresses, steps, page):
    chain = ledger_of_three().copy()
    chain.page = page
    three = three_of(chain)
    for what, *how in [*steps, ("sync", False)]:
        if what == "mine":
            three.grow(how[0])
        elif what == "leave" and all(source.chain is chain for source in three.all) and sync_if_possible(three):
            depth, extra = how[1:]
            three.leave(getattr(three, how[0]), depth=depth, keep=slice(0, None, 2), extra=max(extra, 20 - depth))
        elif what == "return":
            three.a.chain = three.b.chain = three.daemon.chain = chain
        elif what == "away":
            for source in three.all:
                source.up = source.host not in how[0]
        elif what == "reset":
            reset()
        elif what == "sync":
            before = rows()
            if sync_if_possible(three, full=how[0]):
                assert rows() == chain.truth([A, B], CONFIRMATIONS)
                assert unproved() is None
            else:
                assert before <= rows() <= chain.truth([A, B], CONFIRMATIONS)
            assert_sums_hold()
    three.a.chain = three.b.chain = three.daemon.chain = chain
    three.a.up = three.b.up = three.daemon.up = True
    chain.mine()
    three.sync()
    assert_true(chain)


def sync_if_possible(three, **options):
    try:
        three.sync(**options)
    except (BadAnswer, Unavailable, Unproved):
        return False
    return True
