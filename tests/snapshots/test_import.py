"""Moving in: what a file of the replaced tracker brings, what it does not, and that repeating it changes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker import money
from ops.models import TaskState
from revenue.models import App, Cursor, DailyPrice, DailyTotal, LedgerState, Payment, Quarantined
from snapshots.imports import rows as imports_rows
from snapshots.models import ImageDay, Refusal, Snapshot
from tests.factories import MAIN, NOON, SENDER, TIP, digest, pay, settle
from tests.ops.backing_up import contents
from tests.revenue.ledger_checks import assert_sums_hold
from tests.snapshots import original
from tests.snapshots.network import at, collected
from tests.system.ledger import assert_true

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

TODAY = date(2026, 11, 20)
D1, D2, D3 = (TODAY - timedelta(days=back) for back in (1, 2, 3))
NOTHING = {"snapshots": 0, "transactions": 0, "prices": 0, "imageSnapshots": 0}


@pytest.fixture
def clock(clock):
    """Evening of 2026-11-20: today's payments of the factories have happened."""
    clock.move_to(at("23:00"))
    return clock


@pytest.fixture
def load(tmp_path, in_process):
    """Writes a file with these rows, imports it, answers the report."""

    def make(**rows):
        path = tmp_path / "flux-performance.db"
        path.unlink(missing_ok=True)
        outcome = in_process("import_original", str(original.write(path, **rows)), "--json")
        assert outcome.code == 0, outcome.err
        return outcome.report

    return make


def some_of_everything():
    return {
        "snapshots": [original.snapshot(D2), original.snapshot(D1)],
        "transactions": [original.transaction(number) for number in range(5)],
        "prices": [original.price(D2), original.price(D1, 0.08)],
        "images": [original.image(D1, "itzg/minecraft-server", 120, "gaming"), original.image(D1, "nginx", 7)],
    }


def counted(report):
    return {key: report[key] for key in NOTHING}


@pytest.mark.engine
def test_one_of_each_kind_is_taken_and_counted(load):
    report = load(**some_of_everything())
    assert counted(report) == {"snapshots": 2, "transactions": 5, "prices": 2, "imageSnapshots": 2}
    assert report["skipped"] == 0
    assert_sums_hold()


@pytest.mark.engine
def test_repeating_it_changes_nothing(load):
    rows = some_of_everything()
    first = load(**rows)
    before = contents()
    again = load(**rows)
    assert counted(again) == NOTHING
    assert again["skipped"] == sum(counted(first).values())
    before["revenue_ledgerstate"] = contents()["revenue_ledgerstate"]  # its version counts what was looked at
    assert contents() == before


def test_a_snapshot_has_gigabytes_and_the_time_it_was_read(load):
    load(snapshots=[original.snapshot(D1, gaming_rust=8)], newer_columns=["gaming_rust"])
    row = Snapshot.objects.get()
    assert (row.day, row.source, row.read_at) == (D1, "import", datetime(2026, 11, 19, 0, 5, tzinfo=UTC))
    assert (row.total_ram_gb, row.used_ram_gb) == (182_456.7, 29_010.0)
    assert (row.total_storage_gb, row.used_storage_gb) == (3_190_500.0, 386_000.0)
    assert (row.total_cpu_cores, row.used_cpu_cores, row.flux_price_usd) == (54_451, 14_612, Decimal("0.0747"))
    assert (row.node_total, row.total_apps, row.gaming_apps_total, row.wordpress_count) == (6_724, 12_300, 150, 90)
    assert row.counts["gaming_rust"] == 8
    assert (row.counts["gaming_valheim"], row.counts["crypto_kaspa"]) == (0, 200)
    assert "gaming_apps_total" not in row.counts
    assert "crypto_nodes_total" not in row.counts


GROUPS = {
    "nodes": ["node_cumulus", "node_nimbus", "node_stratus", "node_total"],
    "cloud": [
        "total_cpu_cores",
        "used_cpu_cores",
        "total_ram_gb",
        "used_ram_gb",
        "total_storage_gb",
        "used_storage_gb",
    ],
    "apps": ["total_apps", "watchtower_count", "gitapps_count", "dockerapps_count"],
    "gaming": ["gaming_apps_total", "gaming_palworld", "gaming_minecraft"],
    "crypto": ["crypto_nodes_total", "crypto_presearch", "crypto_kaspa"],
    "wordpress": ["wordpress_count"],
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_that_is_all_zero_is_not_known_and_the_others_stay(load, name):
    report = load(snapshots=[original.snapshot(D1, **dict.fromkeys(GROUPS[name], 0))])
    row = Snapshot.objects.get()
    for group, columns in GROUPS.items():
        for column in columns:
            value = getattr(row, column) if hasattr(row, column) else row.counts.get(column)
            assert (value is None) == (group == name), column
    assert report["changed"]["snapshots"] == {f"{name} all zero: not known": 1}


def test_a_zero_among_others_was_counted(load):
    load(snapshots=[original.snapshot(D1, watchtower_count=0, node_stratus=0)])
    row = Snapshot.objects.get()
    assert (row.watchtower_count, row.node_stratus) == (0, 0)


@pytest.mark.parametrize(
    "total", ["node_total", "total_cpu_cores", "total_apps", "gaming_apps_total", "crypto_nodes_total"]
)
def test_a_total_of_zero_whose_parts_are_not_is_not_known(load, total):
    report = load(snapshots=[original.snapshot(D1, **{total: 0})])
    row = Snapshot.objects.get()
    assert getattr(row, total) is None
    assert None not in (row.node_cumulus, row.used_cpu_cores, row.dockerapps_count, row.counts["crypto_kaspa"])
    assert report["changed"]["snapshots"] == {f"{total} zero, its parts are not: not known": 1}


@pytest.mark.parametrize("factor", [1, 1000])
def test_times_are_seconds_or_milliseconds(load, factor):
    moment = original.at_five_past(D1)
    load(
        snapshots=[original.snapshot(D1, timestamp=moment * factor)],
        transactions=[original.transaction(timestamp=moment * factor)],
    )
    assert Snapshot.objects.get().read_at == Payment.objects.get().paid_at == datetime.fromtimestamp(moment, UTC)


@pytest.mark.engine
def test_days_that_were_taken_stay_and_those_that_were_made_up_give_way(load):
    now = NOON
    Snapshot.objects.create(day=D1, source="taken", made_at=now, node_total=1, counts={"crypto_kaspa": 1})
    Snapshot.objects.create(day=D2, source="backfilled", made_at=now, node_total=2, node_cumulus=2)
    Snapshot.objects.create(day=D3, source="simulated", made_at=now, node_total=3, wordpress_count=3)
    ImageDay.objects.create(day=D1, image="nginx", count=1)
    Refusal.objects.create(day=D3 - timedelta(days=1), reason="x", last_at=now)
    silent = {"node_cumulus": 0, "node_nimbus": 0, "node_stratus": 0, "node_total": 0, "wordpress_count": 0}
    report = load(
        snapshots=[
            original.snapshot(D1), original.snapshot(D2, **silent), original.snapshot(D3, **silent),
            original.snapshot(D3 - timedelta(days=1)),
        ],
        images=[original.image(D1, "nginx", 9), original.image(D2, "nginx", 9)],
    )  # fmt: skip
    assert (report["snapshots"], report["imageSnapshots"], report["skipped"]) == (3, 1, 2)
    taken, backfilled, simulated = (Snapshot.objects.get(day=day) for day in (D1, D2, D3))
    assert (taken.source, taken.node_total, taken.counts) == ("taken", 1, {"crypto_kaspa": 1})
    assert (backfilled.source, backfilled.node_total, backfilled.total_apps) == ("import", 2, 12_300)
    assert (simulated.source, simulated.node_total, simulated.wordpress_count) == ("import", None, None)
    assert ImageDay.objects.get(day=D1).count == 1
    assert not Refusal.objects.exists()


def test_a_payment_is_provisional_and_counts_until_the_chain_is_read(load):
    load(transactions=[original.transaction(amount=0.1 + 0.2, amount_usd=0.0223)])
    row = Payment.objects.select_related("app").get()
    assert (row.vout, row.source, row.amount_sat, row.usd_micro, row.price_usd) == (
        None,
        "import",
        30_000_000,
        22_300,
        None,
    )
    assert (row.app.name, row.app_type, row.from_address, row.day) == ("app0", "docker", SENDER, NOON.date())
    total = DailyTotal.objects.get()
    assert (total.day, total.revenue_sat, total.payments, total.usd_micro) == (NOON.date(), 30_000_000, 1, 22_300)
    assert App.objects.get().revenue_sat == 30_000_000


def test_what_is_not_known_is_null(load):
    load(transactions=[original.transaction(from_address="Unknown", app_name=None, app_type=None, amount_usd=0)])
    row = Payment.objects.get()
    assert (row.from_address, row.app, row.app_type, row.usd_micro, row.kind) == (None, None, "unknown", None, "plain")
    assert not Payment.objects.unnamed().exists()


def test_the_day_is_that_of_the_block_in_utc(load):
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)
    report = load(transactions=[original.transaction(timestamp=int(late.timestamp()), date="2026-11-20")])
    assert Payment.objects.get().day == D1
    assert report["changed"]["transactions"] == {"day by the block's time, UTC": 1}


def test_rows_that_are_no_payments_are_left_out_with_the_reason(load):
    bad = {
        "no txid": [{"txid": "short"}, {"txid": None}, {"txid": "g" * 64}],
        "no address": [{"address": None}, {"address": ""}],
        "no amount": [{"amount": 0}, {"amount": -1}, {"amount": "much"}, {"amount": None}, {"amount": 1e300}],
        "not in a block": [{"block_height": -1}, {"block_height": 0}, {"block_height": None}],
        "no time": [{"timestamp": None}, {"timestamp": 0}, {"timestamp": 10**18}, {"timestamp": "now"}],
        "address not tracked": [{"address": "t1" + "x" * 33}],
        "before the address's first height": [{"block_height": 1_669_999}],
        "change": [{"from_address": MAIN}],
        "fee of a free change": [{"from_address": "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A", "amount": 0.02}],
    }  # fmt: skip
    rows = [values for some in bad.values() for values in some]
    report = load(transactions=[original.transaction(number, **values) for number, values in enumerate(rows)])
    assert report["transactions"] == 0
    assert report["skipped"] == len(rows)
    assert report["leftOut"]["transactions"] == {reason: len(some) for reason, some in bad.items()}
    assert not Payment.objects.exists()


def test_a_near_miss_of_the_free_fee_is_revenue(load):
    free = "t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A"
    amounts = (0.02000001, 0.01999999, 25.93)
    load(transactions=[original.transaction(n, from_address=free, amount=amount) for n, amount in enumerate(amounts)])
    assert set(Payment.objects.values_list("amount_sat", flat=True)) == {2_000_001, 1_999_999, 2_593_000_000}


def test_what_the_ledger_knows_or_has_read_past_is_left_out(load):
    pay(txid=digest("old", 0), height=TIP - 1_000)
    settle(closed_through=D2)
    Cursor.objects.update(height=TIP - 998)
    Quarantined.objects.create(
        txid=digest("old", 3), address=MAIN, reason="sender", first_seen_at=NOON, next_attempt_at=NOON
    )
    closed = original.transaction(4, timestamp=original.at_five_past(D2))
    report = load(transactions=[*(original.transaction(number) for number in (0, 1, 3, 5)), closed])
    assert report["transactions"] == 1
    assert report["leftOut"]["transactions"] == {
        "known already": 1, "not on the chain as it was read": 1, "in quarantine": 1, "day is closed": 1,
    }  # fmt: skip
    assert Payment.objects.get(source="import").txid == digest("old", 5)
    assert_sums_hold()


def test_prices_are_taken_for_days_that_are_over_and_have_none(load):
    DailyPrice.objects.create(day=D1, price_usd=Decimal("0.5"), source="binance")
    DailyPrice.objects.create(day=D2, price_usd=None, attempts=3, next_attempt_at=NOON)
    days = [original.price(day) for day in (TODAY, D1, D2, D3)]
    bad = [original.price(TODAY - timedelta(days=10 + number), usd) for number, usd in enumerate((0, -1, None, "x"))]
    report = load(prices=[*days, *bad])
    assert (report["prices"], report["skipped"]) == (2, 6)
    found = {row.day: (row.price_usd, row.source, row.attempts) for row in DailyPrice.objects.all()}
    assert found == {
        D1: (Decimal("0.5"), "binance", 0),
        D2: (Decimal("0.0747"), "import", 0),
        D3: (Decimal("0.0747"), "import", 0),
    }


def test_images_that_differ_by_tag_or_capitals_are_one(load):
    names = ["NGINX", "nginx:latest", "nginx", "host:5000/nginx:1"]
    report = load(images=[*(original.image(D1, name, 2) for name in names), original.image(D1, "", 1),
                          original.image(D1, "x", None), original.image(D1, "y", 1, "games")])  # fmt: skip
    assert dict(ImageDay.objects.values_list("image", "count")) == {"nginx": 6, "host:5000/nginx": 2, "y": 1}
    assert ImageDay.objects.get(image="y").category == ""
    assert report["leftOut"]["imageSnapshots"] == {"no image": 1, "no count": 1}


def test_days_that_are_none_are_left_out(load):
    days = ["2026-13-01", "yesterday", "2026-11-21", "2001-01-01", "20261119"]
    report = load(snapshots=[original.snapshot(D1) | {"snapshot_date": day} for day in days])
    assert (report["snapshots"], report["leftOut"]) == (0, {"snapshots": {"no day": 5}})


def test_our_own_snapshot_of_today_takes_the_place_of_theirs(in_process, load):
    report = load(
        snapshots=[original.snapshot(TODAY), original.snapshot(D1)],
        images=[original.image(TODAY, "nginx", 7), original.image(D1, "nginx", 7)],
    )
    assert (report["snapshots"], report["imageSnapshots"], report["skipped"]) == (2, 2, 0)
    collected(at("22:57"))
    assert in_process("check_snapshot", "--json").report["created"] is True
    assert [(row.day, row.source) for row in Snapshot.objects.order_by("day")] == [(D1, "import"), (TODAY, "taken")]
    assert ImageDay.objects.get(day=TODAY, image="nginx").count == 300
    assert in_process("check_snapshot", "--json").report["created"] is False
    again = load(snapshots=[original.snapshot(TODAY)], images=[original.image(TODAY, "nginx", 7)])
    assert (again["snapshots"], again["imageSnapshots"]) == (0, 0)
    assert Snapshot.objects.get(day=TODAY).source == "taken"
    assert ImageDay.objects.get(day=TODAY, image="nginx").count == 300


@pytest.mark.engine
def test_the_first_sync_replaces_what_the_chain_knows_and_removes_what_it_does_not(build, load, in_process, clock):
    sim = build(payments=80)
    clock.move_to(datetime.now(UTC).replace(year=2027))
    first_outputs = {}
    for txid, _, address, amount, height, sender, _ in sorted(sim.world.truth(8)):
        first_outputs.setdefault(txid, (address, amount, height, sender))
    rows = [
        original.transaction(n, txid=txid, address=address, amount=amount / money.SAT, block_height=height,
                             from_address=sender or "Unknown")
        for n, (txid, (address, amount, height, sender)) in enumerate(first_outputs.items())
    ]  # fmt: skip
    some = next(iter(first_outputs.values()))
    phantoms = [original.transaction(1000 + n, address=some[0], block_height=some[2]) for n in range(5)]
    report = load(transactions=[*rows, *phantoms])
    assert report["transactions"] == len(rows) + 5
    assert in_process("sync_revenue").code == 0
    assert not Payment.objects.filter(source="import").exists()
    assert_true(sim.world)
    assert load(transactions=[*rows, *phantoms])["transactions"] == 0
    assert_true(sim.world)


@pytest.mark.engine
@given(st.integers(1, imports_rows.MOST_SAT // 10))
def test_floats_are_the_satoshi_they_were_made_of(sat):
    if sat < 2**53:
        assert imports_rows.read_satoshi(sat / money.SAT) == sat


@given(st.one_of(st.floats(), st.text(), st.binary(), st.none(), st.integers(), st.booleans()))
def test_no_value_of_a_file_raises(value):
    for how in (
        imports_rows.read_number, imports_rows.read_count, imports_rows.read_gigabytes, imports_rows.read_satoshi,
        imports_rows.read_micro_dollars, imports_rows.read_price, lambda v: imports_rows.read_day(v, TODAY),
        lambda v: imports_rows.read_instant(v, TODAY), lambda v: imports_rows.read_words(v, 10),
    ):  # fmt: skip
        how(value)


def test_a_file_that_is_in_use_is_read_as_it_stands_and_left_as_it_was(tmp_path, in_process):
    path = original.write(tmp_path / "live.db", transactions=[original.transaction(0)])
    with closing(sqlite3.connect(path)) as tracker:
        with tracker:
            original.insert(tracker, "revenue_transactions", original.transaction(1))
        original.insert(tracker, "revenue_transactions", original.transaction(2))  # not committed yet
        outcome = in_process("import_original", str(path), "--json")
        assert outcome.report["transactions"] == 2
        tracker.commit()
    assert in_process("import_original", str(path), "--json").report["transactions"] == 1


def test_a_file_that_is_not_in_use_stays_as_it_is_and_nothing_comes_beside_it(tmp_path, in_process):
    path = original.write(tmp_path / "old.db", **some_of_everything())
    before = path.read_bytes()
    assert in_process("import_original", str(path)).code == 0
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["old.db"]


def refused(in_process, path: Path, words: str) -> None:
    before = contents()
    outcome = in_process("import_original", str(path))
    assert outcome.code == 1, outcome
    assert words in outcome.reason, outcome.reason
    assert len(outcome.reason.splitlines()) == 1
    assert "Traceback" not in outcome.err
    assert contents() == before
    assert not TaskState.objects.filter(name="import_original").exists()  # a mistyped name raises no alert


def test_wrong_files_are_refused_in_one_line(tmp_path, in_process):
    good = original.write(tmp_path / "good.db", transactions=[original.transaction(n) for n in range(300)])
    data = good.read_bytes()
    (tmp_path / "text").write_text("hello " * 100)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut").write_bytes(data[: len(data) // 2 // 4096 * 4096])
    (tmp_path / "torn").write_bytes(data[:5000] + b"\xff" * 30_000 + data[35_000:])
    with closing(sqlite3.connect(tmp_path / "another")) as other:
        other.execute("CREATE TABLE revenue_payment (id)")
    refused(in_process, tmp_path / "absent", "No such file")
    refused(in_process, tmp_path, "Is a directory")
    refused(in_process, tmp_path / "text", "is not a SQLite file")
    refused(in_process, tmp_path / "empty", "is not a SQLite file")
    refused(in_process, tmp_path / "another", "is not a database of the previous tracker")
    refused(in_process, tmp_path / "cut", "nothing was imported")
    refused(in_process, tmp_path / "torn", "nothing was imported")


def test_an_older_file_without_prices_and_images_is_taken(tmp_path, in_process):
    path = original.write(tmp_path / "old.db", snapshots=[original.snapshot(D1)])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TABLE flux_price_history")
        database.execute("DROP TABLE repo_snapshots")
    report = in_process("import_original", str(path), "--json").report
    assert counted(report) == NOTHING | {"snapshots": 1}


def test_answers_are_stamped_anew(load):
    before = LedgerState.load().version
    load(transactions=[original.transaction()])
    assert LedgerState.load().version > before
