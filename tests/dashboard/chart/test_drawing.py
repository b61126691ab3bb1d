"""What the chart panel draws and says."""

from __future__ import annotations

import re
from datetime import date

import pytest
from django.test import Client

from dashboard.panels.chart import panel as chart_panel
from metrics.models import ImageCount
from tests.dashboard.chart.conftest import Panel, chosen, earn, way, words
from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW, TODAY, image, nodes, snapshot

pytestmark = pytest.mark.django_db


def test_without_a_word_it_is_the_revenue_of_thirty_days(panel: Panel) -> None:
    earn("10", "12.5")
    html = panel()
    assert chosen(html) == ["Revenue", "Revenue in FLUX", "30d", "Day"]
    assert "22 Oct – 20 Nov 2026" in words(html)
    assert "Revenue in FLUX 12.50 FLUX 20 Nov 2026" in words(html)


def test_the_first_metric_is_drawn_without_javascript_with_gaps_as_gaps(panel: Panel) -> None:
    nodes(TODAY - 4 * DAY, [10, 20, None, 30])
    html = panel(metrics="node_total", days="5")
    d = re.search(r'<path class="line" d="([^"]+)"', html)[1]
    assert d.count("M") == 2
    assert re.search(r'<span class="chart-high"[^>]*>30<', html)
    assert re.search(r'<span class="chart-low"[^>]*>10<', html)


def test_the_days_before_are_drawn_on_the_same_scale(panel: Panel) -> None:
    nodes(TODAY - 3 * DAY, [40, 20, 10, 20])
    html = panel(days="2", previous="1", metrics="node_total")
    ghost, line = (re.search(rf'class="{kind}" d="([^"]+)"', html)[1] for kind in ("ghost", "line"))
    assert ghost.startswith("M3.0 3.0")  # 40 is the highest of both
    assert line == "M3.0 197.0L717.0 132.3"  # 10 the lowest, 20 a third of the way


def test_what_adds_up_is_bars_from_zero_and_what_goes_on_is_hatched(panel: Panel) -> None:
    earn("40", "20", "10", "20")
    html = panel(days="2", previous="1")
    line, rest, ghost = (re.search(rf'class="{kind}" d="([^"]+)"', html)[1] for kind in ("line", "rest", "ghost"))
    assert re.findall(r"V([\d.]+)h", line) == ["148.5"]  # 10 of 40, of a whole day
    assert re.findall(r"V([\d.]+)h", rest) == ["100.0"]  # 20, today
    assert re.findall(r"V([\d.]+)h", ghost) == ["3.0", "100.0"]
    assert 'class="rest"' not in panel(days="2", cumulative="1")


def test_a_month_is_held_against_the_month_before(panel: Panel) -> None:
    for amount, day in (("1", date(2026, 7, 1)), ("5", date(2026, 8, 31)), ("7", date(2026, 9, 1))):
        pay(amount, at=NOW - (TODAY - day))
    settle(NOW)
    html = words(panel(start="2026-09-01", end="2026-09-30", bucket="month", previous="1"))
    assert "Dotted: previous period, 1 Aug – 31 Aug 2026" in html
    assert "total of 1 full month: 7.00 FLUX (previous: 5.00 FLUX) (+40.0 %)" in html


def test_quarters_can_be_drawn(panel: Panel) -> None:
    for amount, day in (("1", date(2026, 3, 31)), ("5", date(2026, 4, 1)), ("7", date(2026, 6, 30))):
        pay(amount, at=NOW - (TODAY - day))
    settle(NOW)
    html = words(panel(start="2026-01-01", end="2026-06-30", bucket="quarter"))
    assert "1 Apr – 30 Jun 2026 12.00 FLUX" in html


def test_a_mean_of_seven_days_is_asked_for_by_day_only(panel: Panel) -> None:
    earn("10", "4")
    assert 'data-mean="7"' in panel(mean="1")
    assert "mean=1" in panel(mean="1")
    for other in ({"bucket": "week"}, {"cumulative": "1"}, {"metrics": "node_total"}):
        assert 'data-mean=""' in panel(mean="1", **other)
        assert 'name="mean"' not in panel(mean="1", **other).split("data-mean")[1].split('type="hidden"')[0]


def test_the_dotted_line_has_a_legend_and_its_change_in_words(panel: Panel) -> None:
    earn("40", "20", "10", "50", "16", "20")
    html = panel(days="3", previous="1")
    assert "Dotted: previous period, 15 Nov – 17 Nov 2026" in words(html)
    assert (
        "total of 2 full days: 66.00 FLUX (previous: 60.00 FLUX) (+10.0 %); "
        "previous period, 15 Nov – 17 Nov 2026: dotted."
    ) in words(html)
    assert "total of 2 full days: 66.00 FLUX (previous: 60.00 FLUX) (+10.0 %)" in words(
        panel(days="3", previous="1", cumulative="1")
    )
    assert "dotted" not in words(panel(days="3"))


def test_a_state_is_held_against_the_end_of_the_days_before(panel: Panel) -> None:
    nodes(TODAY - 5 * DAY, [90, None, 100, 105, 110, None])
    said = words(panel(days="3", metrics="node_total", previous="1"))
    assert "105 on 18 Nov 2026, before 90 on 15 Nov 2026 (+16.7 %); previous period, 15 Nov – 17 Nov 2026" in said


def test_before_all_days_there_is_nothing_to_draw_and_no_switch(panel: Panel) -> None:
    earn("10", "4")
    html = panel(days="all", previous="1")
    assert "before" not in words(html)
    assert 'class="ghost"' not in html
    assert 'name="previous"' not in html
    assert "previous" not in way(html, "Link to this view")


def test_days_before_the_ledger_are_not_known_instead_of_nothing_earned(panel: Panel) -> None:
    earn("10", "4", "6")
    html = panel(days="2", previous="1")
    assert "before: 10.00 FLUX" in words(html)
    assert "before: 0.00 FLUX" not in words(html)
    nothing = panel(days="5", previous="1")
    assert "No data for the previous period, 11 Nov – 15 Nov 2026." in words(nothing)
    assert "previous period, 11 Nov – 15 Nov 2026: no data." in words(nothing)
    assert "dotted" not in words(nothing)


def test_a_sentence_says_range_ends_change_extremes_and_doubts(panel: Panel) -> None:
    earn("10", "4", "16", "12")
    assert (
        "Revenue in FLUX, 17 – 20 Nov 2026 by day: from 10.00 FLUX to 16.00 FLUX (+60.0 %); "
        "lowest 4.00 FLUX on 18 Nov 2026; highest 16.00 FLUX on 19 Nov 2026; "
        "12.00 FLUX on 20 Nov 2026, incomplete; 1 incomplete day."
    ) in words(panel(days="4")).replace("17 Nov – 20", "17 – 20")


def test_a_week_or_month_is_dated_by_all_its_days(panel: Panel) -> None:
    for amount, day in (("7", date(2026, 9, 30)), ("10", date(2026, 10, 31)), ("4", TODAY)):
        pay(amount, at=NOW - (TODAY - day))
    settle(NOW)
    said = words(panel(days="all", bucket="month"))
    assert "Revenue in FLUX 4.00 FLUX 1 Nov – 20 Nov 2026, in progress" in said
    assert "10.00 FLUX in 1 Oct – 31 Oct 2026; 4.00 FLUX in 1 Nov – 20 Nov 2026, incomplete" in said
    assert "4.00 FLUX in 1 Nov – 20 Nov 2026; 1 incomplete month" in words(panel(start="2026-11-01", bucket="month"))
    assert "0.00 FLUX in 9 Nov – 15 Nov 2026; 4.00 FLUX in 16 Nov" in words(panel(start="2026-11-09", bucket="week"))


def test_the_same_values_stand_in_a_table_newest_first(panel: Panel) -> None:
    earn("10", "4")
    nodes(TODAY - DAY, [6700])
    table = words(panel(days="2", metrics="revenue_flux,node_total").partition("<tbody")[2].partition("</tbody")[0])
    assert "20 Nov 2026 4.00 FLUX — not known in progress 19 Nov 2026 10.00 FLUX 6,700" in table


def test_the_table_holds_the_days_before_too(panel: Panel) -> None:
    nodes(TODAY - 3 * DAY, [1, 2, 3, 4])
    assert "20 Nov 2026 4 before: 2 19 Nov 2026 3 before: 1" in words(
        panel(days="2", metrics="node_total", previous="1").partition("<tbody")[2]
    )


def test_a_change_that_would_be_nothing_is_left_out(panel: Panel) -> None:
    nodes(TODAY - DAY, [6700, 6701])
    assert "from 6,700 to 6,701; lowest" in words(panel(days="2", metrics="node_total"))


def test_a_long_table_is_cut_and_says_so_with_a_way_to_all_of_it(panel: Panel) -> None:
    earn("1")
    html = panel(days="60")
    assert html.count('role="rowheader"') == 31
    assert "The newest 31 of 60" in words(html)
    assert panel(**way(html, "show every row")).count('role="rowheader"') == 60


def test_where_values_come_from_is_told(panel: Panel) -> None:
    nodes(TODAY - 6 * DAY, [1, 2], "simulated")
    nodes(TODAY - 4 * DAY, [3, 4], "backfilled")
    nodes(TODAY - 2 * DAY, [5, 6, 7], "import")
    said = words(panel(metrics="node_total", days="7"))
    assert "14 Nov – 15 Nov 2026: simulated." in said
    assert "16 Nov – 17 Nov 2026: backfilled from the ledger and the history of node counts." in said
    assert "18 Nov – 20 Nov 2026: from the previous tracker." in said


def test_units_are_written_out(panel: Panel) -> None:
    values = {"total_ram_gb": 182_000.0, "used_ram_gb": 91_000.0, "total_cpu_cores": 1234.5, "flux_price_usd": "0.0744"}
    snapshot(TODAY, **values)
    said = words(panel(metrics="total_ram_gb,ram_utilization_percent,total_cpu_cores,flux_price_usd", days="1"))
    for figure in ("182.0 TB", "50.00 %", "1,234.5 cores", "$0.07440"):
        assert figure in said


def test_an_image_is_drawn_by_its_name(panel: Panel) -> None:
    image(TODAY, "itzg/minecraft-server", 98)
    said = words(panel(metrics="image:itzg/minecraft-server", days="1"))
    assert "itzg/minecraft-server 98" in said


def test_strangers_names_are_escaped(panel: Panel) -> None:
    assert "<img" not in panel(add="<img src=x>", metrics="<img>")


def test_nothing_is_inline(panel: Panel) -> None:
    earn("1")
    assert not re.search(r"<style|\sstyle=|\son\w+=|hx-on|<script", panel(previous="1"))


def test_it_names_the_parts_that_draw(panel: Panel) -> None:
    html = panel()
    assert re.search(r'data-uplot="/static/uplot/uPlot\.iife\.min\.[^"]*js"', html)
    assert re.search(r'data-chart="/static/js/chart\.[^"]*js"', html)


def test_without_built_parts_the_servers_drawing_stays(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise ValueError(f"Missing staticfiles manifest entry for '{name}'")

    earn("1")
    monkeypatch.setattr(chart_panel.staticfiles_storage, "url", missing)
    html = panel(days="13")
    assert "data-uplot" not in html
    assert 'class="line"' in html


def test_the_number_of_queries_depends_on_nothing(client: Client, django_assert_max_num_queries) -> None:
    earn("1", "2")
    nodes(TODAY - 30 * DAY, list(range(30)))
    ImageCount.objects.create(image="a/b", count=1)
    query = {"metrics": "payments,node_total,gaming_palworld,image:a/b", "days": "365", "previous": "1"}
    with django_assert_max_num_queries(19):  # 8 of them for the stamp
        client.get("/panels/chart/", query)


def test_it_is_not_made_again_while_nothing_changed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    earn("1")
    first = client.get("/panels/chart/?days=14")
    monkeypatch.setattr(chart_panel.selectors, "read", lambda **_: 1 / 0)
    assert client.get("/panels/chart/?days=14", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
