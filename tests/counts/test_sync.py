"""How many requests and rows a sync costs. Never how long it takes: `make bench` measures that."""

import pytest

pytestmark = [pytest.mark.django_db, pytest.mark.warm]

ADDRESSES = 3
WARM = 14  # statements that bring all five comparisons up to date: a completed sync changes how old they are


@pytest.fixture
def synced(build, in_process):
    """A ledger of 300 payments that is up to date, quarantine and all."""
    sim = build(payments=300)
    for _ in range(3):
        assert in_process("sync_revenue").code == 0
        sim.world.mine(10)
    assert in_process("sync_revenue").code == 0
    sim.requests.clear()
    return sim


def paths(sim):
    return [request.path.removeprefix("/blockbook/api/v2") for request in sim.requests]


@pytest.mark.engine
def test_a_sync_with_nothing_new_is_one_request_and_writes_no_row(synced, in_process, django_assert_max_num_queries):
    with django_assert_max_num_queries(62 + WARM):
        report = in_process("sync_revenue", "--json").report
    assert (report["requests"], report["fetched"], report["added"]) == (1, 0, 0)
    assert paths(synced) == [""]


def test_new_blocks_without_payments_are_two_requests_and_one_an_address(synced, in_process):
    for blocks in (1, 2, 40):
        synced.requests.clear()
        synced.world.mine(blocks)
        assert in_process("sync_revenue", "--json").report["requests"] <= 2 + ADDRESSES, paths(synced)


@pytest.mark.engine
def test_new_payments_cost_their_names_besides(synced, in_process):
    world = synced.world
    world.mine(9, [world.payment(app="one"), world.payment(app="two")])
    report = in_process("sync_revenue", "--json").report
    assert report["added"] == 2
    chain = [path for path in paths(synced) if not path.startswith("/apps")]
    assert len(chain) <= 3 + ADDRESSES, chain  # and once more the tip's hash, because rows changed
    assert report["requests"] - len(chain) == 2


def test_a_first_sync_of_one_page_an_address(build, in_process):
    sim = build(payments=700)
    report = in_process("sync_revenue", "--json").report
    assert report["fetched"] >= report["added"] > 650
    lists = [path for path in paths(sim) if "/address/" in path]
    assert len(lists) <= 5 * ADDRESSES, lists
    assert sim.count("/apps/permanentmessages") == 1
    assert sim.count("/coingecko") + sim.count("/binance") <= 3


def test_an_audit_asks_once_an_address_when_all_is_right(synced, in_process):
    report = in_process("audit_revenue", "--json").report
    assert (report["missing"], report["extra"], report["different"]) == (0, 0, 0)
    assert len(synced.requests) <= 1 + ADDRESSES


def test_commands_with_nothing_to_do_ask_nobody(synced, in_process):
    for command in ("prune", "reset_revenue_sync", "backfill_app_types"):
        assert in_process(command).code == 0
    assert in_process("clear_revenue_data", "--yes").code == 0
    assert paths(synced) == []
