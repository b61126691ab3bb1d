"""Audits and branches."""

import pytest
from django.utils import timezone

from fluxtracker.upstream.clients import chain_sources
from fluxtracker.upstream.http.client import Http
from fluxtracker.upstream.http.errors import UpstreamError
from fluxtracker.upstream.http.limits import Shared
from ops.jobs import runs
from revenue import ledger
from revenue.chain_audit import audit_revenue
from revenue.models import DailyTotal, Payment
from tests.revenue.conftest import A, sync
from tests.revenue.ledger_checks import rows
from tests.revenue.proof.conftest import assert_true, clear, every_shape_in_full

pytestmark = pytest.mark.django_db


def audit(three, **options):
    with runs.run("audit_revenue", trigger="command") as run:
        return audit_revenue(sources=three.all, now=timezone.now(), run=run, blocks=4320, **options)


@pytest.mark.parametrize("fix", [False, True])
@every_shape_in_full
def test_an_audit_by_a_branch_finds_and_changes_nothing(three, fix, shape):
    keep, extra = shape
    three.leave(three.a, depth=120, keep=keep, extra=extra)
    report = audit(three, fix=fix)
    assert (report.missing, report.extra, report.different, report.fixed) == (0, 0, 0, 0)
    assert report.checked == Payment.objects.count()
    assert_true(three.true)
    three.b.up = three.daemon.up = False
    with pytest.raises(UpstreamError):
        audit(three, fix=fix)
    assert_true(three.true)


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("door", ["audit", "full sync"])
def test_lists_of_one_node_and_hashes_of_another_change_nothing(three, door, added):
    branch = three.true.copy()
    branch.fork, branch.made = branch.fork + 1000, branch.made + 1000
    groups = [block.txs for block in branch.blocks[-120:]]
    del branch.blocks[-120:]
    for number in range(0, 120, 2):  # what is deep changes places, so that nothing vanishes
        first, second = groups[number : number + 2]
        if number < 80:
            first, second = (*second, *([branch.pay(A, 11)] if added else [])), first
        branch.mine(*first)
        branch.mine(*second)
    three.a.chain = branch
    three.a.tip, three.a.block_hash = three.b.tip, three.b.block_hash
    before = rows()
    audit(three, fix=True) if door == "audit" else three.sync(full=True)
    assert rows() == before


@pytest.mark.engine
@pytest.mark.parametrize("witness", ["none", "b", "daemon"])
def test_a_fix_mends_settled_rows_where_two_sources_agree(three, witness):
    Payment.objects.filter(height=1100).delete()
    ledger.recompute_days(set(DailyTotal.objects.values_list("day", "address")))
    before = rows()
    for source in (three.b, three.daemon):
        source.up = source.host == witness
    if witness == "none":
        with pytest.raises(UpstreamError, match="no second source"):
            audit(three, fix=True)
        assert rows() == before
    else:
        assert audit(three, fix=True).fixed == 1
        assert_true(three.true)


def test_where_the_ledger_is_on_the_branch_two_others_can_mend_it(three):
    """As long as the source that is asked first goes on, nothing contradicts it."""
    clear()
    three.leave(three.a, depth=120, keep=slice(0, None, 2))
    sync(three.a)
    three.a.up = False
    assert audit(three).open > 0
    assert audit(three, fix=True).open == 0
    assert_true(three.true)


def test_one_blockbook_named_twice_is_one_source(settings):
    settings.FLUX_API_URL = "https://api.example"
    settings.BLOCKBOOK_URLS = [
        "https://One.example/api/v2", "https://one.example:443/api/v2", "https://two.example/api/v2",
        "http://one.example/other/api/v2", "https://one.example/api/v2",
    ]  # fmt: skip
    http = Http(timeout=1, rate=0, shared=Shared())
    assert [source.host for source in chain_sources(http)] == [
        "One.example", "two.example", "one.example", "api.example",
    ]  # fmt: skip
