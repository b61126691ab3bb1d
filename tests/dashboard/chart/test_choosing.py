"""Metrics and ranges are chosen by links and fields."""

from __future__ import annotations

import pytest

from metrics.models import ImageCount
from tests.dashboard.chart.conftest import Panel, chosen, earn, way, words
from tests.snapshots.series_rows import TODAY, image, nodes, read_now

pytestmark = pytest.mark.django_db


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
    assert "At most 8 metrics fit in one chart; remove one first." in words(html)
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
        ({"start": "2026-11-07", "end": "2026-11-01"}, "The first day is after the last."),
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
    assert "Future days are not known; the chart ends today." in said
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
