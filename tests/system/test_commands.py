"""The commands as the contract has them: options, JSON, exit codes, one-line reasons; never a traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ops import leases
from tests.factories import pay
from tests.simnet.server import SimServer
from tests.simnet.world import World
from tests.system.home import Home, Outcome
from tests.system.ledger import assert_true, rows

WHOLE, NUMBER, NOTHING = int, (int, float), type(None)
REPORTS = {
    "sync_revenue": {
        "fetched": WHOLE, "added": WHOLE, "removed": WHOLE, "lastSyncBlock": WHOLE,
        "requests": WHOLE, "seconds": NUMBER,
    },
    "sync_revenue --full": {"fetched": WHOLE, "added": WHOLE, "lastSyncBlock": WHOLE},
    "backfill_app_names": {
        "processed": WHOLE, "updated": WHOLE, "noHash": WHOLE, "notFound": WHOLE, "remaining": WHOLE,
    },
    "backfill_app_names --batch-size 2000 --all": {"processed": WHOLE},
    "backfill_app_types": {"updated": WHOLE, "unknown": WHOLE},
    "backfill_usd": {"updated": WHOLE, "remaining": WHOLE},
    "backfill_usd --from 2020-01-01 --to 2026-01-01": {"updated": WHOLE, "remaining": WHOLE},
    "backfill_usd --force": {"updated": WHOLE, "remaining": WHOLE, "closedDays": WHOLE},
    "audit_revenue": {"checked": WHOLE, "missing": WHOLE, "extra": WHOLE, "different": WHOLE},
    "audit_revenue --blocks 10 --fix": {"checked": WHOLE},
    f"audit_revenue --blocks {10**30}": {"checked": WHOLE},
    "prune": {"transactions": WHOLE, "checks": WHOLE},
    "check_services": {"checks": list},
    "take_census": {"day": str, "sources": dict, "nodes": WHOLE, "instances": WHOLE},
    "refresh_carousel": {"network": WHOLE, "deployed": WHOLE, "expiring": WHOLE},
    "sync_messages": {
        "read": WHOLE, "added": WHOLE, "changed": WHOLE, "notFound": WHOLE, "leftOut": dict, "lives": WHOLE,
    },
    "sync_messages --full": {"read": WHOLE, "requests": WHOLE, "seconds": NUMBER},
    "reset_revenue_sync": {"lastSyncBlock": NOTHING},
    "clear_revenue_data --yes": {"deleted": WHOLE},
}  # fmt: skip
WRONG = {
    "clear_revenue_data": "--yes",
    "clear_revenue_data --json": "--yes",
    "audit_revenue --blocks 0": "--blocks",
    "audit_revenue --blocks many": "whole number",
    "backfill_app_names --batch-size 0": "1 to 2000",
    "backfill_app_names --batch-size 2001": "1 to 2000",
    "backfill_app_names --batch-size -5": "--batch-size",
    "backfill_usd --from 2026-02-30": "YYYY-MM-DD",
    "backfill_usd --to 2999-01-01 --force": "must not be in the future",
    "kpi_report --date 0001-01-01": "expected a day between 2000-01-01 and 2199-12-31",
    "backfill_usd --from 2026-02-02 --to 2026-02-01": "--from must not be after --to",
    "sync_revenue --fast": "--fast",
    "prune everything": "everything",
}
SETTINGS = {
    "MIN_CONFIRMATIONS": "none",
    "RETENTION_DAYS": "-1",
    "UPSTREAM_TIMEOUT": "soon",
    "UPSTREAM_RATE": "fast",
    "BLOCKBOOK_URLS": "ftp://example.org",
    "FLUX_API_URL": "example.org",
    "REVENUE_ADDRESSES": "t3short@1",
    "DATABASE_URL": "mysql://example.org/name",
    "DEBUG": "perhaps",
    "API_RATE": "many",
}


def assert_failed(outcome: Outcome, words: str = "", code: int = 1) -> None:
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err
    assert words in outcome.reason, outcome.err
    assert len(outcome.reason) < 1000
    assert not outcome.out or list(outcome.report) == ["error"]


@pytest.mark.django_db
def test_the_last_line_of_stdout_is_the_report(sim, in_process):
    for words, keys in REPORTS.items():
        outcome = in_process(*words.split(), "--json")
        assert outcome.code == 0, (words, outcome.err)
        for key, kind in keys.items():
            value = outcome.report[key]
            assert isinstance(value, kind), (words, key, value)
            assert not isinstance(value, bool), (words, key, value)


@pytest.mark.django_db
def test_without_json_the_report_is_one_readable_line(sim, in_process):
    outcome = in_process("sync_revenue")
    assert outcome.out.count("\n") == 1
    assert outcome.out.startswith("fetched ")


@pytest.mark.engine
def test_a_whole_day_of_an_operator(home: Home):
    """Each command once, as a process, with logs on stderr and nothing but the report on stdout."""
    with SimServer(World(payments=80, days=400, nodes=5, frozen=True)) as sim:
        home.settings |= sim.env() | {"RETENTION_DAYS": "100"}
        first = home.manage("sync_revenue", "--json")
        assert (first.code, len(first.out.splitlines())) == (0, 1)
        assert first.report["lastSyncBlock"] == sim.world.tip_height - 7
        assert_true(sim.world, home.query)
        assert "event=revenue_synced" in first.err
        known = first.report["added"]
        pruned = home.manage("prune", "--json").report["transactions"]
        assert 0 < pruned < known
        for words in ("reset_revenue_sync", "sync_revenue", "sync_revenue --full", "audit_revenue --fix"):
            assert home.manage(*words.split()).code == 0
        assert len(rows(home.query)) == known - pruned
        assert home.query("SELECT SUM(payments) FROM revenue_dailytotal") == [(known,)]
        assert home.manage("clear_revenue_data", "--yes", "--json").report == {"deleted": known - pruned}
        assert home.manage("sync_revenue", "--json").report["added"] == known


@pytest.mark.parametrize(("words", "told"), WRONG.items())
def test_wrong_options_end_with_2_and_say_what_is_wrong(home: Home, words, told):
    assert_failed(home.manage(*words.split()), told, code=2)


@pytest.mark.parametrize(("name", "value"), SETTINGS.items())
def test_a_wrong_setting_ends_with_one_line_that_names_it(home: Home, name, value):
    outcome = home.manage("sync_revenue", **{name: value})
    assert_failed(outcome, name)
    assert len(outcome.err.splitlines()) == 1
    assert value not in outcome.err or value.isalpha()


@pytest.mark.engine
def test_a_database_that_is_not_migrated_is_told_in_one_line(empty_home: Home):
    together = {words: empty_home.start(*words.split()) for words in ("sync_revenue", "prune", "backfill_usd --json")}
    for process in together.values():
        assert_failed(empty_home.finish(process), "migrate")


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


UPSTREAMS = ("FLUX_API_URL", "BLOCKBOOK_URLS", "COINGECKO_URL", "BINANCE_URL", "FLUX_EXPLORER_URL", "CRYPTOCOMPARE_URL")
ASKING = ("sync_revenue", "audit_revenue", "backfill_app_names --all", "backfill_usd")


@pytest.fixture
def known(home: Home) -> Iterator[SimServer]:
    """A home whose ledger waits for names and prices."""
    with SimServer(World(payments=80, days=400, nodes=5, frozen=True)) as sim:
        home.settings |= sim.env()
        sim.faults.add("html200", "^/(apps|coingecko|binance|explorer)")
        assert home.manage("sync_revenue").code == 0
        sim.faults.clear()
        sim.world.mine(20, [sim.world.payment()])
        yield sim


@pytest.mark.parametrize("where", ["deaf", pytest.param("refused", marks=pytest.mark.slow)])
def test_with_no_upstream_answering_a_command_ends_in_time(known, home: Home, deaf, where):
    url = deaf if where == "deaf" else "http://127.0.0.1:1"
    home.settings |= dict.fromkeys(UPSTREAMS, url) | {"UPSTREAM_TIMEOUT": "1", "BLOCKBOOK_URLS": f"{url}/1,{url}/2"}
    together = [home.start(*words.split()) for words in ASKING]
    for process in together:
        assert_failed(home.finish(process), url.removeprefix("http://"))


REFUSING = "http://127.0.0.1:1"
UNKNOWN = {
    "sync_revenue": dict.fromkeys(("fetched", "added", "removed", "lastSyncBlock", "requests", "seconds")),
    "audit_revenue": dict.fromkeys(("checked", "missing", "extra", "different")),
    "backfill_app_names --all": dict.fromkeys(("processed", "updated", "noHash", "notFound", "remaining")),
    "backfill_app_types": {"updated": None, "unknown": None},
    "backfill_usd": {"updated": None, "remaining": None},
    "backfill_snapshots --days 9": {"created": 0, "skipped": 0},
    "refresh_carousel": dict.fromkeys(("network", "deployed", "expiring")),
    "sync_messages": dict.fromkeys(("read", "added", "changed", "notFound", "leftOut", "lives")),
    "collect_metrics": {"sources": dict.fromkeys(("nodes", "cloud", "apps", "specs", "price"), "failed")},
    "take_census": {"sources": dict.fromkeys(("node_list", "node_facts", "locations", "terms"), "failed")},
    "check_services": {},
}


@pytest.mark.django_db
@pytest.mark.parametrize(("words", "keys"), UNKNOWN.items())
def test_with_no_upstream_answering_there_is_a_report_all_the_same(settings, in_process, words, keys):
    """What it cannot know is null; `error` says why."""
    for name in (*UPSTREAMS, "FLUX_STATS_URL"):
        setattr(settings, name, [REFUSING] if name == "BLOCKBOOK_URLS" else REFUSING)
    if words.startswith(("backfill_a", "backfill_u")):
        pay(message_hash="ab" * 32)
        pay(app="one", app_type="unknown", price_usd=None)
    outcome = in_process(*words.split(), "--json")
    assert outcome.code == 1, outcome
    assert {key: outcome.report[key] for key in keys} == keys
    assert outcome.report["error"] == outcome.reason
    if words == "check_services":
        assert {row["status"] for row in outcome.report["checks"] if row["kind"] == "api"} == {"failed"}


@pytest.mark.django_db
@pytest.mark.parametrize("words", ["sync_revenue", "collect_metrics", "take_snapshot"])
def test_with_the_lease_held_the_last_line_says_so(in_process, monkeypatch, words):
    monkeypatch.setattr("ops.base_commands.LEASE_WAIT_S", 0)
    with leases.hold(words):
        outcome = in_process(words, "--json")
    assert outcome.code == 1
    assert f"{words} is already running (pid " in outcome.report["error"]


@pytest.mark.django_db
@pytest.mark.parametrize("words", ["create_api_token nobody", "restore nowhere --yes"])
def test_what_cannot_be_done_has_a_report_too(in_process, words):
    outcome = in_process(*words.split(), "--json")
    assert (outcome.code, outcome.report["error"]) == (1, outcome.reason)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["timeout", "drip"])
def test_with_upstreams_that_fall_silent_half_way_a_sync_ends_in_time(known, home: Home, kind):
    known.faults.add(kind, "^/(blockbook.*/(address|block-index|tx)|daemon/get(address|rawtr)|apps|coingecko|binance)")
    home.settings["UPSTREAM_TIMEOUT"] = "1"
    together = [home.start(*words.split()) for words in ("sync_revenue", "audit_revenue")]
    for process in together:
        assert_failed(home.finish(process), "127.0.0.1")
    known.faults.clear()
    assert home.manage("sync_revenue").code == 0
    assert_true(known.world, home.query)


@pytest.mark.django_db
def test_fewer_confirmations_count_sooner(sim, settings, in_process):
    settings.MIN_CONFIRMATIONS = 1
    for _ in range(3):
        sim.world.mine(1, [sim.world.payment()])
        assert in_process("sync_revenue").code == 0
        assert_true(sim.world, confirmations=1)
    settings.MIN_CONFIRMATIONS = 8
    assert in_process("sync_revenue").code == 0
    sim.world.mine(9)
    assert in_process("sync_revenue").code == 0
    assert_true(sim.world)
