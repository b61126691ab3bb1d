"""The chart panel as the server makes it: the drawing, the words, the ways on, the looks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client

from dashboard.panels.chart import panel as chart_panel
from metrics.models import ImageCount
from revenue.models import LedgerState
from tests.factories import pay, settle
from tests.snapshots.series_rows import DAY, NOW, TODAY, image, nodes, read_now, snapshot

pytestmark = pytest.mark.django_db

Panel = Callable[..., str]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def panel(client: Client) -> Panel:
    """The panel's HTML for an address."""

    def ask(**query: str) -> str:
        response = client.get("/panels/chart/", query)
        assert response.status_code == 200
        assert "X-Panel-Failed" not in response.headers
        return response.content.decode()

    return ask


def words(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


def look(html: str) -> str:
    return re.search(r'data-look="(\w+)"', html)[1]


def way(html: str, label: str) -> dict[str, str]:
    """The query of the first link with this label."""
    found = re.search(rf'<a [^>]*?href="([^"]+)"[^>]*>(?:<span[^>]*>)?{re.escape(label)}<', html)
    assert found, label
    return {key: values[0] for key, values in parse_qs(urlsplit(unescape(found[1])).query).items()}


def chosen(html: str) -> list[str]:
    return [unescape(label) for label in re.findall(r'aria-current="true">(?:<span[^>]*>)?([^<]+)', html)]


def earn(*amounts: str, settled: bool = True) -> None:
    """A payment a day, the last one today."""
    for back, amount in enumerate(reversed(amounts)):
        pay(amount, at=NOW - DAY * back)
    if settled:
        settle(NOW)


# What it shows


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
    earn("40", "20", "10", "20")
    html = panel(days="2", previous="1")
    ghost, line = (re.search(rf'class="{kind}" d="([^"]+)"', html)[1] for kind in ("ghost", "line"))
    assert ghost.startswith("M3.0 3.0")  # 40 is the highest of both
    assert line == "M3.0 197.0L717.0 132.3"  # 10 the lowest, 20 a third of the way


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
        "Revenue in FLUX, 17 – 20 Nov 2026 by day: from 10.00 FLUX to 12.00 FLUX (+20.0 %); "
        "lowest 4.00 FLUX on 18 Nov 2026; highest 16.00 FLUX on 19 Nov 2026; 1 incomplete day."
    ) in words(panel(days="4")).replace("17 Nov – 20", "17 – 20")


def test_a_week_or_month_is_dated_by_all_its_days(panel: Panel) -> None:
    for amount, day in (("7", date(2026, 9, 30)), ("10", date(2026, 10, 31)), ("4", TODAY)):
        pay(amount, at=NOW - (TODAY - day))
    settle(NOW)
    said = words(panel(days="all", bucket="month"))
    assert "Revenue in FLUX 4.00 FLUX 1 Nov – 20 Nov 2026" in said
    assert "lowest 4.00 FLUX in 1 Nov – 20 Nov 2026; highest 10.00 FLUX in 1 Oct – 31 Oct 2026;" in said
    assert "4.00 FLUX in 1 Nov – 20 Nov 2026; 1 incomplete month" in words(panel(start="2026-11-01", bucket="month"))
    assert "lowest 0.00 FLUX in 9 Nov – 15 Nov 2026" in words(panel(start="2026-11-09", bucket="week"))


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
    assert "18 Nov – 20 Nov 2026: from the tracker that was replaced." in said


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


# Choosing


def test_a_category_shows_its_metrics_and_several_of_them_together(panel: Panel) -> None:
    earn("1")
    nodes_way = way(panel(), "Nodes")
    assert nodes_way["metrics"] == "node_cumulus,node_nimbus,node_stratus"
    html = panel(**nodes_way)
    assert chosen(html)[:4] == ["Nodes", "Cumulus nodes", "Nimbus nodes", "Stratus nodes"]


def test_images_are_a_category_once_some_are_counted(panel: Panel) -> None:
    assert ">Images</a>" not in panel()
    ImageCount.objects.create(image="runonflux/wp-nginx", count=763)
    read_now("apps", {"total_apps": 763})
    assert way(panel(), "Images")["metrics"] == "image:runonflux/wp-nginx"


def test_a_metric_is_added_and_taken_out_and_the_last_one_stays(panel: Panel) -> None:
    earn("1")
    added = way(panel(), "Payments")
    assert added["metrics"] == "revenue_flux,payments"
    assert "metrics" not in way(panel(**added), "Payments")  # what is by default is left out
    assert 'aria-label="Take out' not in panel()


def test_eight_are_drawn_at_most(panel: Panel) -> None:
    keys = "node_total,node_cumulus,node_nimbus,node_stratus,total_apps,gitapps_count,dockerapps_count,watchtower_count"
    html = panel(metrics=f"{keys},payments")
    assert "At most 8 metrics are drawn together; take one out first." in words(html)
    assert sum(label in chosen(html) for label in ("Nodes", "Cumulus nodes", "Nimbus nodes", "Stratus nodes")) == 4
    assert way(html, "Nodes")["metrics"].count(",") == 2


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("Palworld", "gaming_palworld"),
        ("palworld", "gaming_palworld"),
        ("cumulus", "node_cumulus"),
        ("node_nimbus", "node_nimbus"),
        ("itzg/minecraft-server", "image:itzg/minecraft-server"),
        ("image:itzg/minecraft-server", "image:itzg/minecraft-server"),
        ("minecraft-server", "image:itzg/minecraft-server"),
    ],
)
def test_a_typed_name_is_found(panel: Panel, typed: str, key: str) -> None:
    image(TODAY, "itzg/minecraft-server", 3)
    earn("1")
    html = panel(add=typed, metrics="payments")
    assert f'data-key="{key}" data-number="2"' in html
    assert way(html, "7d")["metrics"] == f"payments,{key}"
    assert "add=" not in html


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("nothing like it", "Nothing is called “nothing like it”."),
        ("utilisation", "“utilisation” fits 3 metrics: CPU utilisation, RAM utilisation, Storage utilisation."),
        ("node", "metrics: Nodes, Cumulus nodes, Nimbus nodes and more."),
    ],
)
def test_a_typed_name_that_fits_nothing_or_several_is_told_beside_the_field(
    panel: Panel, typed: str, said: str
) -> None:
    html = panel(add=typed)
    assert said in words(html)
    assert chosen(html)[1] == "Revenue in FLUX"


# Ranges


def test_ways_keep_everything_else_that_was_chosen(panel: Panel) -> None:
    earn("1")
    html = panel(period="M", search="abc", metrics="payments", bucket="week", previous="1")
    assert way(html, "90d") == {
        "period": "M",
        "search": "abc",
        "metrics": "payments",
        "bucket": "week",
        "previous": "1",
        "days": "90",
    }
    assert '<input type="hidden" name="period" value="M">' in html


def test_both_ends_of_a_range_win_over_days(panel: Panel) -> None:
    html = panel(start="2026-11-01", end="2026-11-07", days="90")
    assert "1 Nov – 7 Nov 2026" in words(html)
    assert 'name="start" value="2026-11-01"' in html
    assert "days" not in way(html, "Week")
    assert "start" not in way(html, "7d")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"start": "nonsense"}, "A range needs a first day such as 2026-01-31"),
        ({"end": "2026-11-01"}, "A range needs a first day such as 2026-01-31"),
        ({"start": "2026-11-07", "end": "2026-11-01"}, "The first day lies after the last."),
        ({"start": "2001-01-01"}, "At most 3,660 days are drawn"),
        ({"start": "1999-01-01", "end": "1999-02-01"}, "At most 3,660 days are drawn, from 2000 on."),
    ],
)
def test_a_range_that_is_none_is_told_beside_the_fields_and_thirty_days_are_shown(
    panel: Panel, query: dict[str, str], said: str
) -> None:
    html = panel(**query)
    assert said in words(html)
    assert 'aria-invalid="true"' in html
    assert "22 Oct – 20 Nov 2026" in words(html)


def test_days_to_come_are_left_out_and_that_is_told(panel: Panel) -> None:
    said = words(panel(start="2026-11-18", end="2026-12-24"))
    assert "Days to come are not known; what is shown ends today." in said
    assert "18 Nov – 20 Nov 2026" in said


@pytest.mark.parametrize("days", ["0", "-1", "3661", "x", "٣", "1e3", ""])
def test_days_that_are_none_fall_back_to_thirty(panel: Panel, days: str) -> None:
    assert "22 Oct – 20 Nov 2026" in words(panel(days=days))


@pytest.mark.parametrize("key", ["bucket", "previous", "cumulative", "rows", "metrics"])
def test_other_wrong_values_never_break_the_panel(panel: Panel, key: str) -> None:
    earn("1")
    assert "Revenue in FLUX" in words(panel(**{key: "\x00%FF'\";--"}))


def test_added_up_is_only_offered_where_something_can_be_added_up(panel: Panel) -> None:
    nodes(TODAY, [1])
    assert 'name="cumulative"' in panel(metrics="payments")
    assert 'name="cumulative"' not in panel(metrics="node_total")


def test_a_link_to_exactly_this_view_names_its_days(panel: Panel) -> None:
    earn("1")
    exactly = way(panel(days="7", metrics="payments", period="M"), "Link to this view")
    assert exactly == {"metrics": "payments", "start": "2026-11-14", "end": "2026-11-20"}


def test_the_file_is_that_of_exactly_this_view(panel: Panel) -> None:
    earn("1")
    html = panel(days="7", bucket="week", metrics="payments")
    assert 'href="/export/chart.csv?metrics=payments&amp;start=2026-11-14&amp;end=2026-11-20&amp;bucket=week"' in html


# Looks


def test_what_is_whole_is_fresh(panel: Panel) -> None:
    earn("1", "2")
    html = panel(start="2026-11-19", end="2026-11-20")
    assert look(html) == "fresh"


def test_gaps_are_partial(panel: Panel) -> None:
    nodes(TODAY - 2 * DAY, [1])
    assert look(panel(metrics="node_total", days="3")) == "partial"


def test_a_late_sync_is_stale_with_its_time(panel: Panel, clock: time_machine.Traveller) -> None:
    earn("1")
    clock.shift(timedelta(minutes=45))
    html = panel()
    assert look(html) == "stale"
    assert "Payments were last read 20 Nov, 22:00 UTC; newer ones will follow." in words(html)


def test_a_late_source_is_stale_with_the_metrics_it_tells(panel: Panel) -> None:
    read_now("nodes", {"node_total": 6724, "node_stratus": 900}, error="HTTP 502")
    html = panel(metrics="node_total,node_stratus", days="1")
    assert look(html) == "stale"
    assert "Nodes, Stratus nodes: last read 20 Nov, 21:55 UTC; newer readings will follow." in words(html)


def test_a_range_in_the_past_is_not_stale(panel: Panel, clock: time_machine.Traveller) -> None:
    earn("1", "1", "1", "1")
    clock.shift(timedelta(minutes=45))
    assert look(panel(start="2026-11-18", end="2026-11-19")) == "fresh"


def test_nothing_known_says_what_to_do_and_draws_no_zero(panel: Panel) -> None:
    html = panel(metrics="node_total")
    assert look(html) == "empty"
    assert "There is no data yet. Revenue appears with the first sync" in words(html)
    assert "<table" not in html
    assert 'class="line"' not in html


def test_a_range_without_values_leads_to_all_days(panel: Panel) -> None:
    nodes(TODAY - 90 * DAY, [5])
    html = panel(metrics="node_total")
    assert "Data starts on 22 Aug 2026" in words(html)
    assert look(panel(**way(html, "show all days"))) == "partial"
    assert "There is no snapshot of it yet." in words(panel(metrics="gaming_palworld", days="all"))


@pytest.mark.parametrize(
    ("metrics", "first"),
    [
        ("node_total", "22 Sep 2026"),
        ("cpu_utilization_percent", "24 Sep 2026"),
        ("gaming_palworld,total_apps", "26 Sep 2026"),
        ("gaming_palworld", "28 Sep 2026"),
        ("image:itzg/minecraft-server", "26 Sep 2026"),
        ("payments", "20 Sep 2026"),
    ],
)
def test_a_range_without_values_names_the_first_day_of_its_own_metrics(panel: Panel, metrics: str, first: str) -> None:
    pay("1", at=NOW - 61 * DAY)
    settle(NOW)
    LedgerState.objects.update(completed_at=None)
    nodes(TODAY - 59 * DAY, [5])
    snapshot(TODAY - 58 * DAY, used_cpu_cores=1)
    snapshot(TODAY - 57 * DAY, used_cpu_cores=1, total_cpu_cores=2)
    snapshot(TODAY - 55 * DAY, total_apps=9)
    snapshot(TODAY - 53 * DAY, counts={"gaming_palworld": 3})
    image(TODAY - 52 * DAY, "itzg/minecraft-server", 3)
    html = panel(metrics=metrics, start="2026-09-01", end="2026-09-10")
    assert f"Data starts on {first}" in words(html)


def test_a_metric_that_no_day_has_says_so_for_any_range(panel: Panel) -> None:
    nodes(TODAY - DAY, [5])
    assert "There is no snapshot of it yet." in words(panel(metrics="gaming_palworld"))


def test_a_ledger_that_never_completed_is_no_zero(panel: Panel) -> None:
    earn("1")
    LedgerState.objects.update(completed_at=None)
    html = panel(days="3")
    assert "No sync has completed yet: revenue is not known." in words(html)
    assert "— not known" in words(html)
    assert "0.00 FLUX" not in words(html)


def test_a_chart_that_cannot_be_read_says_so_in_its_place(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_panel.selectors, "read", lambda **_: 1 / 0)
    response = client.get("/panels/chart/?metrics=payments&failing=1")
    assert response.headers["X-Panel-Failed"] == "1"
    assert "Chart cannot be read at the moment" in response.content.decode()


def test_all_days_say_when_they_are_cut(panel: Panel) -> None:
    nodes(date(2010, 1, 1), [5])
    nodes(TODAY, [6])
    assert "There are older days; a chart holds 3,660." in words(panel(metrics="node_total", days="all"))


# What it is made of


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
    again = client.get("/panels/chart/?days=14")
    assert again.content == first.content
    assert client.get("/panels/chart/?days=14", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
