from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from dashboard.panels.tile_figures import revenue
from metrics.models import Source, TrackedApp
from revenue.ledger import writing
from revenue.models import LedgerState, Payment
from tests.dashboard.reading import html, panel, row, tile, told
from tests.dashboard.rows import FLUX, NOW, network, pay, snapshot, synced
from tests.factories import TIP, settle

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "broker")]

WEEK_AGO = date(2026, 11, 11)


@pytest.fixture
def week() -> None:
    """The network now, and a snapshot of a week ago with 300 nodes fewer."""
    synced()
    network()
    snapshot(WEEK_AGO, node_cumulus=3_078, node_total=6_424)


def reaches_back(days: int = 1_000) -> None:
    """The ledger knows this long: periods can be compared."""
    pay(FLUX, at=NOW - timedelta(days=days))


def test_the_answer_is_one_line_with_two_chips(client: Client) -> None:
    synced()
    reaches_back()
    pay(300 * FLUX)
    pay(20 * FLUX, at=NOW - timedelta(days=1))
    pay(250 * FLUX, at=NOW - timedelta(days=7, minutes=1))  # Wednesday a week ago, before 14:05
    pay(150 * FLUX, at=NOW - timedelta(days=7, minutes=-1))  # just after it
    words = told(client, "revenue")
    assert "Revenue this week › 320.00 FLUX · $23.81 · 2 payments updated 0 s ago" in words
    assert "▲ up 28.0 % vs last week by now 80.0 % of all last week" in words
    assert "FLUX ▲ +70.00 (+28.00 %) USD ▲ +$5.21 (+28.00 %) Payments ▲ +1 (+100.00 %)" in words
    assert "this week so far Mon 16 Nov – now" in words
    assert "last week by now Mon 9 Nov – Wed 11 Nov, 14:05 UTC: 250.00 FLUX, $18.60, 1 payment" in words
    assert "all of last week Mon 9 Nov – Sun 15 Nov: 400.00 FLUX, $29.76, 2 payments" in words
    bar = re.search(r'class="bar pace".*?</svg>', tile(client, "revenue"), re.DOTALL)
    assert bar is not None
    assert re.findall(r'width="([\d.]+)"|d="M([\d.]+)', bar[0]) == [("100.00", ""), ("80.00", ""), ("", "62.50")]


@pytest.mark.parametrize(("now_flux", "size"), [(99_900, "0.1 %"), (99_960, "0.04 %"), (99_999, "< 0.01 %")])
def test_a_small_change_is_not_shown_as_nothing(client: Client, now_flux: int, size: str) -> None:
    synced()
    reaches_back()
    pay(now_flux * FLUX)
    pay(100_000 * FLUX, at=NOW - timedelta(days=7, minutes=1))
    assert f"▼ down {size} vs last week by now" in told(client, "revenue")


def test_a_base_that_the_ledger_half_covers_gives_no_percentage(client: Client) -> None:
    synced()
    pay(300 * FLUX)
    pay(250 * FLUX, at=NOW - timedelta(days=7, minutes=1))  # the ledger's first: last week's Monday is not known
    words = told(client, "revenue")
    assert "No comparison: the ledger starts on 11 Nov 2026." in words
    assert "vs last week" not in words
    assert "of all last week" not in words
    assert "last week by now Mon 9 Nov – Wed 11 Nov, 14:05 UTC: not known" in words
    assert 'class="bar pace"' not in tile(client, "revenue")
    assert "%" not in html(client).split("</title>")[0]


@pytest.mark.parametrize(
    ("period", "name", "so_far", "against"),
    [
        ("D", "today", "Wed 18 Nov – now", "Tue 17 Nov, 14:05 UTC"),
        ("W", "this week", "Mon 16 Nov – now", "Mon 9 Nov – Wed 11 Nov, 14:05 UTC"),
        ("M", "this month", "Sun 1 Nov – now", "Thu 1 Oct – Sun 18 Oct, 14:05 UTC"),
        ("Q", "this quarter", "Thu 1 Oct – now", "Wed 1 Jul – Tue 18 Aug, 14:05 UTC"),
        ("Y", "this year", "Thu 1 Jan – now", "Wed 1 Jan 2025 – Tue 18 Nov 2025, 14:05 UTC"),
    ],
)
def test_every_period_writes_its_ranges_out(client: Client, period: str, name: str, so_far: str, against: str) -> None:
    synced()
    words = told(client, "revenue", f"?period={period}")
    assert f"Revenue {name} " in words
    assert f"{name} so far {so_far} " in words
    assert f" by now {against}" in words


@pytest.mark.parametrize(
    ("query", "name", "whole", "before"),
    [
        ("?period=D&at=2026-11-03", "Tue 3 Nov", "Tue 3 Nov", "the day before Mon 2 Nov"),
        ("?at=2026-W45", "week 45, 2 – 8 Nov", "Mon 2 Nov – Sun 8 Nov", "the week before Mon 26 Oct – Sun 1 Nov"),
        ("?period=M&at=2025-12-24", "December 2025", "Mon 1 Dec 2025 – Wed 31 Dec 2025", "the month before Sat 1 Nov"),
        ("?period=Q&at=2026-Q2", "Q2 2026", "Wed 1 Apr – Tue 30 Jun", "the quarter before Thu 1 Jan – Tue 31 Mar"),
        ("?period=Y&at=2025", "2025", "Wed 1 Jan 2025 – Wed 31 Dec 2025", "the year before Mon 1 Jan 2024"),
    ],
)
def test_a_past_period_is_held_whole_against_the_one_before(
    client: Client, query: str, name: str, whole: str, before: str
) -> None:
    synced()
    reaches_back()
    words = told(client, "revenue", query)
    assert f"Revenue {name} › The" in words
    assert f"{name} {whole} {before}" in words
    assert "by now" not in words


def test_the_sums_of_a_past_week_are_its_own(client: Client) -> None:
    synced()
    reaches_back()
    for day, amount in ((1, 40), (2, 100), (8, 50), (9, 7)):
        pay(amount * FLUX, at=NOW.replace(day=day))
    words = told(client, "revenue", "?at=2026-W45")
    assert "150.00 FLUX · $11.16 · 2 payments" in words
    assert "▲ up 275.0 % vs the week before" in words
    assert "Only revenue goes back to week 45, 2 – 8 Nov." in panel(client, "tiles", "?at=2026-W45")


def test_steps_lead_to_the_periods_beside_and_back_to_now(client: Client) -> None:
    synced()
    reaches_back()
    now, past = tile(client, "revenue"), tile(client, "revenue", "?search=a&at=2026-W46")
    assert 'data-at="2026-W46" href="?at=2026-W46"' in now
    assert 'id="period-on"' not in now
    assert 'href="?search=a&amp;at=2026-W45"' in past
    assert re.findall(r'id="(period-on|period-now)" class="step"\s+data-at=""\s+href="\?search=a"', past) == [
        "period-on", "period-now",
    ]  # fmt: skip


def test_no_step_leads_before_the_ledger(client: Client) -> None:
    synced()
    pay(at=NOW.replace(day=12))
    assert 'data-at="2026-W46"' in tile(client, "revenue")
    assert "period-back" not in tile(client, "revenue", "?at=2026-W46")
    words = told(client, "revenue", "?at=2026-W40")
    assert "— Payments are known since 12 Nov 2026." in words
    assert "0.00 FLUX" not in words


@pytest.mark.parametrize("at", ["2026-W54", "2026-02-30", "2027", "x", "0001-01-01", "2026-W46; --"])
def test_a_time_that_is_no_past_period_is_now(client: Client, at: str) -> None:
    synced()
    assert "Revenue this week " in told(client, "revenue", f"?at={at}")


def test_the_last_24_hours_roll(client: Client) -> None:
    synced()
    reaches_back()
    for hours, amount in ((0, 1), (24, 2), (25, 4), (47, 8), (48, 16), (49, 32)):
        pay(amount * FLUX, at=NOW - timedelta(hours=hours, minutes=-1 if hours else 0))
    words = told(client, "revenue", "?period=24h")
    assert "Revenue last 24 hours 3.00 FLUX · $0.22 · 2 payments" in words
    assert "vs the 24 hours before" in words
    assert "Mon 16 Nov, 14:05 – Tue 17 Nov, 14:05 UTC: 28.00 FLUX, $2.08, 3 payments" in words


def test_the_last_7_days_roll(client: Client) -> None:
    synced()
    reaches_back()
    for days, amount in ((1, 1), (7, 2), (8, 4), (14, 8)):
        pay(amount * FLUX, at=NOW - timedelta(days=days, minutes=-1))
    words = told(client, "revenue", "?period=7D")
    assert "Revenue last 7 days 3.00 FLUX" in words
    assert "▼ down 75.0 % vs the 7 days before" in words


def test_rolling_hours_of_pruned_days_are_unknown(client: Client) -> None:
    synced()
    reaches_back()
    settle(completed_at=NOW, closed_through=NOW.date() - timedelta(days=2), change=lambda: None)
    words = told(client, "revenue", "?period=24H")
    assert "— Payments of these days are stored as daily totals only." in words


def test_a_week_is_shown_when_nothing_is_asked_for(client: Client) -> None:
    synced()
    assert 'data-period="W"' in html(client, "/panels/tiles/")
    assert 'data-period="M"' in html(client, "/panels/tiles/?period=m")


def test_a_period_without_payments_is_a_zero_once_a_sync_has_looked(client: Client) -> None:
    synced()
    reaches_back()
    words = told(client, "revenue", "?period=D")
    assert "0.00 FLUX · $0.00 · 0 payments" in words
    assert "= same as yesterday by now" in words
    assert "Payments = 0" in words


def test_before_the_first_sync_revenue_is_a_dash_with_its_reason(client: Client) -> None:
    words = told(client, "revenue")
    assert "— No sync has completed yet. FLUX FLUX No sync has completed yet." in words
    assert "0.00" not in words


def test_after_midnight_today_is_unknown_until_the_next_sync(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    pay(5 * FLUX)
    clock.move_to(NOW.replace(day=19, hour=0, minute=2))
    words = told(client, "revenue", "?period=D")
    assert "— Not read yet: the last complete sync was on 18 Nov, 14:05 UTC." in words
    assert "all of yesterday Wed 18 Nov: 5.00 FLUX, $0.37, 1 payment, not complete yet" in words


def test_the_whole_period_before_is_called_complete_no_sooner_than_the_chain_is(client: Client) -> None:
    synced()
    pay(5 * FLUX, at=NOW - timedelta(days=1))
    assert "not complete yet" not in told(client, "revenue", "?period=D")
    before_midnight = NOW.replace(hour=0, minute=0) - timedelta(seconds=1)
    with writing():
        LedgerState.objects.update(settled_at=before_midnight, settled_height=TIP - 100)
    assert "not complete yet" in told(client, "revenue", "?period=D")
    assert revenue(NOW).of("revenue_flux")[-2:] == (0, None), "the trend leaves yesterday out"


def test_payments_without_a_price_are_left_out_of_the_dollars_and_counted(client: Client) -> None:
    synced()
    pay(100 * FLUX)
    pay(900 * FLUX, priced=False)
    words = told(client, "revenue")
    assert "1,000.00 FLUX · $7.44 · 2 payments" in words
    assert "1 without a price" in words


def test_dollars_are_unknown_when_no_payment_has_a_price(client: Client) -> None:
    synced()
    pay(900 * FLUX, priced=False)
    words = told(client, "revenue")
    assert "· — None of these payments has a price yet. ·" in words
    assert "900.00 FLUX" in words


def test_a_pruned_day_is_compared_whole_and_says_so(client: Client) -> None:
    synced()
    reaches_back()
    pay(5 * FLUX, at=NOW - timedelta(days=7))
    settle(completed_at=NOW, closed_through=WEEK_AGO, change=lambda: None)
    Payment.objects.all().delete()
    words = told(client, "revenue")
    assert (
        "last week by now Mon 9 Nov – Wed 11 Nov (whole days: payments of that day are stored as totals only): "
        "5.00 FLUX" in words
    )


def test_a_late_ledger_is_said_in_the_tile(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    clock.shift(timedelta(minutes=45))
    assert 'data-look="stale"' in tile(client, "revenue")
    assert "No sync has completed since 18 Nov, 14:05 UTC: newer payments are missing." in told(client, "revenue")


def test_the_nodes_are_shown_by_tier_with_shares_and_change(client: Client, week: None) -> None:
    words = told(client, "nodes")
    assert "Nodes updated 0 s ago 6,724 Total nodes ▲ +300 (+4.67 %)" in words
    assert row(client, "nodes", "Cumulus") == "Cumulus 3,378 ▲ +300 (+9.75 %) 50.2 %"
    assert row(client, "nodes", "Nimbus") == "Nimbus 1,582 = 0 23.5 %"


def test_the_cloud_is_shown_by_its_use_with_change_in_points(client: Client) -> None:
    synced()
    network()
    snapshot(WEEK_AGO, used_cpu_cores=15_246.3)
    assert row(client, "cloud", "CPU") == "CPU 26.8 % ▼ −1.2 pp 14,612.5 of 54,451 cores"
    assert row(client, "cloud", "RAM") == "RAM 16.0 % = 0 29.1 TB of 182.0 TB"
    assert row(client, "cloud", "Storage") == "Storage 12.1 % = 0 386.0 TB of 3.19 PB"
    assert 'title="29,120 GB of 182,000 GB"' in tile(client, "cloud")
    assert '<rect class="part" width="26.84" height="1"/>' in tile(client, "cloud")


def test_the_apps_are_shown_by_kind(client: Client, week: None) -> None:
    assert "12,480 Running containers = 0" in told(client, "apps")
    assert row(client, "apps", "Deployed from Git") == "Deployed from Git 1,857 = 0 14.9 %"
    assert row(client, "apps", "Docker") == "Docker 10,623 = 0 85.1 %"
    assert row(client, "apps", "WordPress") == "WordPress 763 = 0"
    assert row(client, "apps", "Watchtower") == "Watchtower (not in total) 0 = 0"


def test_games_are_sorted_by_count_and_the_small_ones_are_folded(client: Client, week: None) -> None:
    body = tile(client, "gaming")
    shown, folded = body.split('<details class="folded"')
    names = re.findall(r'data-for="chart">([\w :]+)</a>', shown)
    assert names == ["Minecraft", "Valheim", "Palworld", "FiveM", "Rust"]
    assert re.findall(r'data-for="chart">([\w :]+)</a>', folded)[0] == "Terraria"
    assert re.search(r"<summary>8 more</summary>", folded)


def test_a_game_that_was_not_counted_is_unknown_and_comes_last(client: Client, week: None) -> None:
    assert row(client, "gaming", "Enshrouded") == "Enshrouded — Not read yet."
    names = re.findall(r'data-for="chart">([\w :]+)</a>', tile(client, "gaming"))
    assert names.index("ARK Survival") < names.index("Enshrouded")


def test_an_operators_new_game_has_a_line(client: Client, week: None) -> None:
    TrackedApp.objects.create(name="<b>New</b>", key="new_game", category="gaming")
    network()
    Source.objects.filter(name="apps").update(values={"total_apps": 5, "gaming_new_game": 900})
    assert "&lt;b&gt;New&lt;/b&gt;" in tile(client, "gaming")
    assert row(client, "gaming", "<b>New</b>").startswith("<b>New</b> 900")


def test_without_any_tracked_app_the_tile_says_what_to_do(client: Client, week: None) -> None:
    TrackedApp.objects.filter(category="crypto").update(active=False)
    assert "None are tracked. They are added in the admin ." in told(client, "crypto")


def test_without_a_snapshot_the_changes_are_unknown_and_the_nearest_day_is_told(client: Client) -> None:
    synced()
    network()
    snapshot(date(2026, 11, 14))
    words = panel(client, "tiles")
    reason = "There is no snapshot of Wed 11 Nov to compare with; the nearest day that has one is Sat 14 Nov."
    assert f"{reason} The network's changes are not known; revenue is complete." in words
    assert "Until then" not in words
    assert row(client, "nodes", "Nimbus") == f"Nimbus 1,582 — {reason} 23.5 %"


def test_before_any_snapshot_the_changes_are_unknown_until_the_first_one(client: Client) -> None:
    synced()
    reason = "The first is taken soon after 00:05 UTC. Until then the network's changes are not known"
    assert f"{reason}; revenue is complete." in panel(client, "tiles")


def test_a_ledger_that_never_completed_is_not_called_complete(client: Client) -> None:
    words = panel(client, "tiles")
    assert "Until then the network's changes are not known." in words
    assert "revenue is complete" not in words


def test_a_late_ledger_is_not_called_complete(client: Client, clock: time_machine.Traveller) -> None:
    synced()
    clock.shift(timedelta(minutes=45))
    words = panel(client, "tiles")
    assert "the network's changes are not known." in words
    assert "revenue is complete" not in words


def test_a_source_that_had_failed_that_day_leaves_only_its_changes_unknown(client: Client) -> None:
    synced()
    network()
    snapshot(WEEK_AGO, node_cumulus=None, node_nimbus=None, node_stratus=None, node_total=None)
    assert "— That day's snapshot does not have it." in row(client, "nodes", "Nimbus")
    assert row(client, "apps", "WordPress") == "WordPress 763 = 0"
    assert 'class="notice' not in html(client, "/panels/tiles/")


def test_a_stale_source_is_said_in_the_tile_that_it_concerns(client: Client, week: None) -> None:
    Source.objects.filter(name="cloud").update(
        read_at=NOW - timedelta(hours=6), tried_at=NOW, error="Stats: HTTP 503 from stats.runonflux.io"
    )
    words = told(client, "cloud")
    assert 'data-look="stale"' in tile(client, "cloud")
    assert "updated 6 h ago" in words
    assert "Capacity and use: could not be read since 18 Nov, 08:05 UTC; showing the last values." in words
    assert "26.8 %" in words
    assert "data-look" not in tile(client, "nodes")


def test_a_source_that_was_never_read_leaves_dashes(client: Client) -> None:
    synced()
    words = told(client, "nodes")
    assert "Node counts: not read yet." in words
    assert "— Not read yet. Total nodes" in words
    assert not re.search(r"\b0\b", words.split("How we count this")[0].replace("0 s ago", ""))


def test_a_game_new_since_then_has_a_change_without_percent(client: Client) -> None:
    synced()
    network()
    snapshot(WEEK_AGO, gaming_rust=0)
    assert row(client, "gaming", "Rust") == "Rust 12 ▲ +12"


def test_every_figure_has_the_line_of_its_last_30_days_and_links_to_its_chart(client: Client) -> None:
    synced()
    network()
    for back in (30, 29, 3, 1):
        snapshot(NOW.date() - timedelta(days=back), node_total=6_000 + back)
    body = tile(client, "nodes", "?period=M&search=abc")
    assert "30 days: from 6,030 to 6,724; lowest 6,001, highest 6,724; 26 days not known." in body
    assert 'href="?period=M&amp;search=abc&amp;metrics=node_total#panel-chart"' in body


def test_the_line_of_revenue_is_made_of_whole_days(client: Client) -> None:
    synced()
    pay(8 * FLUX)
    pay(3 * FLUX, at=NOW - timedelta(days=1))
    assert "30 days: from 0 to 3; lowest 0, highest 3." in tile(client, "revenue")


def test_every_tile_has_its_definition_one_click_away(client: Client, week: None) -> None:
    body = html(client, "/panels/tiles/")
    for key in ("revenue", "nodes", "cloud", "apps", "gaming", "crypto"):
        found = re.search(rf'<details class="definition" id="about-{key}">(.*?)</details>', body, re.DOTALL)
        assert found, key
        assert re.findall(r"<dt>(.*?)</dt>", found[1]) == ["Counted", "From", "How often", "Missing"]


HALVES = {"capacity": {"counted": 6_640, "remembered": 50}, "used": {"counted": 6_600, "remembered": 0}}


@pytest.mark.parametrize(
    ("coverage", "words"),
    [
        ({"rows": 6_724, "counted": 6_622, "remembered": 68}, "From 6,690 of 6,724 nodes, 68 of them as last known."),
        (
            {"rows": 6_730, "repeated": 6, "counted": 6_540, "remembered": 50} | HALVES,
            "Capacity from 6,690, use from 6,600 of 6,724 nodes, 50 of them as last known.",
        ),
    ],
)
def test_what_the_capacity_rests_on_is_said(client: Client, week: None, coverage: Any, words: str) -> None:
    Source.objects.filter(name="cloud").update(coverage=coverage)
    Source.objects.filter(name="apps").update(coverage={"resolvedPercent": 76.8})
    assert words in told(client, "cloud")
    assert "The image of 76.8 % of them is known." in told(client, "apps")


def test_the_queries_of_the_tiles_are_few(client: Client, week: None, django_assert_max_num_queries) -> None:
    client.get("/panels/tiles/")
    with django_assert_max_num_queries(26) as made:
        client.get("/panels/tiles/?period=Y")
    assert made
