"""A deep branch is followed where a second source proves it."""

import pytest

from fluxtracker.upstream.http.errors import Unavailable, UpstreamError
from revenue.models import LedgerState
from revenue.sync.completeness import Unproved
from tests.marks import some_in_full
from tests.revenue.conftest import CONFIRMATIONS, A, B, sync
from tests.revenue.fake_chain import Source
from tests.revenue.ledger_checks import assert_sums_hold, rows
from tests.revenue.proof.conftest import (
    DENIED,
    QUICK,
    SHALLOW,
    assert_true,
    clear,
    every_shape_in_full,
    priced,
    unproved,
)

pytestmark = pytest.mark.django_db

IN_QUICK = [case for case in DENIED if case.startswith("nobody away, 120") or case.endswith(QUICK)]


@pytest.mark.parametrize("case", some_in_full(DENIED, *IN_QUICK))
def test_a_branch_that_a_second_source_denies_changes_nothing(three, case):
    away, depth, (keep, extra) = case
    before = rows(), priced()
    three.leave(three.a, depth=depth, keep=keep, extra=max(extra, 20 - depth))
    for source in three.all:
        source.up = source.host != away
    report = three.sync()
    assert (report.added, report.removed, report.changed) == (0, 0, 0)
    assert "another branch" in report.failed_sources[0]
    assert (rows(), priced(), unproved()) == (*before, None)
    three.grow()
    three.sync()
    assert before[1].items() <= priced().items()
    assert_true(three.true) if away != "b" else assert_sums_hold()


@every_shape_in_full
@pytest.mark.parametrize("depth", [SHALLOW + 1, 120])
def test_a_branch_without_a_witness_changes_nothing_and_that_is_noted(three, depth, shape):
    keep, extra = shape
    before, state = (rows(), priced()), LedgerState.load()
    three.leave(three.a, depth=depth, keep=keep, extra=max(extra, 20 - depth))
    three.b.up = three.daemon.up = False
    for _ in range(2):
        with pytest.raises(UpstreamError, match="no second source confirms or denies it"):
            three.sync()
        assert (rows(), priced()) == before
        assert unproved() == 1200 - depth
        assert LedgerState.load().completed_at == state.completed_at
        assert LedgerState.load().tip_height == state.tip_height
    assert LedgerState.load().unproved_at >= state.completed_at


@pytest.mark.parametrize("heals", ["the source comes back", "a witness denies it", "a witness confirms it"])
def test_it_is_proved_again_when_the_source_comes_back_or_a_second_one_can_say(three, heals):
    branch = three.leave(three.a, depth=120, keep=slice(0, None, 2))
    three.b.up = three.daemon.up = False
    with pytest.raises(Unavailable):
        three.sync()
    assert unproved() == 1080
    if heals == "the source comes back":
        three.a.chain = three.true
    else:
        three.b.up = True
        three.b.chain = branch if heals == "a witness confirms it" else three.true
    three.sync()
    assert (unproved(), LedgerState.load().unproved_at) == (None, None)
    assert_true(branch if heals == "a witness confirms it" else three.true)


def test_with_one_source_in_all_nothing_settled_changes(three):
    three.leave(three.a, depth=60)
    with pytest.raises(Unproved):
        sync(three.a)
    assert_true(three.true)
    assert unproved() == 1140


@pytest.mark.parametrize(("depth", "follows"), [(SHALLOW, True), (SHALLOW + 1, False)])
@pytest.mark.parametrize("source", ["a", "daemon"])
def test_a_fork_within_the_confirmations_and_the_usual_reading_needs_no_witness(three, depth, follows, source):
    alone = getattr(three, source)
    branch = three.leave(alone, depth=depth, keep=slice(0, None, 2))
    if follows:
        sync(alone)
        assert_true(branch)
    else:
        with pytest.raises(Unproved):
            sync(alone)
        assert_true(three.true)


def test_a_fork_that_needs_no_witness_asks_none(three):
    branch = three.leave(three.a, depth=SHALLOW, keep=slice(0, None, 2))
    sync(three.a, three.b)
    assert_true(branch)
    assert three.b.requests == []


@pytest.mark.engine
@pytest.mark.parametrize("by", ["b", "daemon", "both"])
@every_shape_in_full
def test_a_true_deep_reorganisation_is_followed_when_two_sources_tell_it(three, by, shape):
    keep, extra = shape
    witnesses = [three.b, three.daemon] if by == "both" else [getattr(three, by)]
    branch = three.leave(three.a, *witnesses, depth=120, keep=keep, extra=extra)
    report = three.sync()
    assert (report.failed_sources, unproved()) == ([], None)
    assert_true(branch)
    assert LedgerState.load().tip_hash == branch.blocks[-1].hash
    three.grow()
    three.sync()
    assert_true(branch)


def test_more_sources_that_deny_it_outweigh_one_that_confirms_it(three):
    fourth = Source("fourth", three.true)
    branch = three.leave(three.a, three.b, depth=60)
    with_two = [three.a, three.b, three.daemon, fourth]
    assert len(sync(*with_two).failed_sources) == 2
    assert_true(three.true)
    three.daemon.chain = branch
    sync(*with_two)
    assert_true(branch)


@pytest.mark.parametrize("lag", [115, 122, 180])
@pytest.mark.parametrize("where", ["on the branch", "on the chain"])
def test_a_witness_that_has_no_settled_block_above_the_fork_proves_nothing(three, lag, where):
    three.leave(three.a, *([three.b] if where == "on the branch" else []), depth=120)
    three.b.lag, three.daemon.up = lag, False
    with pytest.raises(Unavailable):
        three.sync()
    assert_true(three.true)
    assert unproved() == 1080


@pytest.mark.parametrize("lag", [2, 20, 100])
@pytest.mark.parametrize("where", ["on the branch", "on the chain"])
def test_a_witness_behind_tells_by_the_blocks_above_the_fork_that_it_has(three, lag, where):
    branch = three.leave(three.a, *([three.b] if where == "on the branch" else []), depth=120)
    three.b.lag, three.daemon.up = lag, False
    if where == "on the branch":
        assert three.sync().failed_sources == []
        assert_true(branch)
    elif lag <= 20:
        assert "another branch" in three.sync().failed_sources[0]
        assert_true(three.true)
    else:  # it denies the branch, and is too far behind to be read
        with pytest.raises(Unavailable, match=r"another branch.*went backwards"):
            three.sync()
        assert_true(three.true)


@pytest.mark.parametrize("extra", [1, -15, -60, 300])
def test_a_neighbour_on_a_branch_that_steps_in_for_a_moment_is_refused(three, extra):
    three.leave(three.b, depth=120, keep=slice(0, None, 2), extra=extra)
    three.a.up = False
    report = three.sync()
    assert "another branch" in report.failed_sources[1]
    assert_true(three.true)
    three.daemon.up = False
    with pytest.raises(Unavailable):
        three.sync()
    assert (unproved(), rows()) == (1080, three.true.truth([A, B], CONFIRMATIONS))
    three.a.up = True
    three.sync()
    assert unproved() is None


def test_two_sources_on_the_same_branch_are_a_proof(three):
    branch = three.leave(three.a, three.b, depth=120)
    three.sync()
    assert_true(branch)
    three.a.chain = three.b.chain = three.true
    three.sync()
    assert_true(three.true)


@pytest.mark.engine
@pytest.mark.parametrize("extra", [1, 300])
def test_a_first_sync_from_a_branch_is_put_right_by_two_others(three, extra):
    clear()
    branch = three.leave(three.a, depth=120, keep=slice(0, None, 2), extra=extra)
    sync(three.a)
    assert_true(branch)
    three.a.up, three.daemon.up = False, False
    with pytest.raises(Unavailable):
        three.sync()
    assert_true(branch)
    assert unproved() == 1080
    three.daemon.up = True
    three.sync()
    assert_true(three.true)
    three.a.up = True
    three.grow()
    assert len(three.sync().failed_sources) == 1
    assert_true(three.true)
