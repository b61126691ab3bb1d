"""Small trend lines: gaps stay gaps, and what a line shows is also said."""

from __future__ import annotations

import re

from django.template import Context, Template
from hypothesis import given
from hypothesis import strategies as st

from dashboard.panels import tile_figures

NUMBERS = st.one_of(st.none(), st.integers(0, 10**9), st.floats(0, 1e9, allow_nan=False))


def strokes(d: str) -> int:
    return d.count("M")


def test_a_line_goes_through_every_value():
    assert tile_figures.line([1, 2, 3]) == "M3.0 29.0L60.0 16.0L117.0 3.0"


def test_an_unknown_day_is_a_gap_and_a_day_between_two_gaps_is_a_dot():
    assert strokes(tile_figures.line([1, None, 3, 4])) == 2
    assert tile_figures.line([None, 5, None]) == "M60.0 16.0h0"


def test_a_zero_is_drawn_at_the_bottom_and_equal_values_in_the_middle():
    assert tile_figures.line([0, 10]).startswith("M3.0 29.0")
    assert tile_figures.line([7, 7]) == "M3.0 16.0L117.0 16.0"


def test_nothing_known_draws_nothing_and_says_so():
    assert tile_figures.line([None, None]) == tile_figures.line([]) == ""
    assert tile_figures.sentence([None, None], "Nodes, 30 days") == "Nodes, 30 days: no history yet."


def test_the_dot_at_the_end_is_only_there_when_today_is_known():
    assert '<path class="end" d="M117.0 3.0h0"' in tile_figures.spark([1, 2])
    assert '<path class="end" d=""' in tile_figures.spark([1, None])


def test_the_sentence_tells_ends_extremes_and_gaps():
    said = tile_figures.sentence([6700, None, 6650, 6724], "Nodes")
    assert said == "Nodes: from 6,700 to 6,724; lowest 6,650, highest 6,724; 1 day not known."


def test_figures_keep_what_matters():
    assert [tile_figures.trend_value(value) for value in (1234567, 2.0, 26.816, 0.074123)] == [
        "1,234,567",
        "2",
        "26.82",
        "0.07412",
    ]


def test_the_tag_has_nothing_inline_and_is_hidden_from_those_who_hear():
    html = Template('{% load formatting %}{% spark values "Nodes" %}').render(Context({"values": [1, None, 2]}))
    assert 'aria-hidden="true"' in html
    assert "style=" not in html
    assert '<span class="unseen">Nodes: from 1 to 2; 1 day not known.</span>' in html


def test_a_label_is_escaped():
    assert "<b>" not in tile_figures.spark([1], "<b>")


@given(st.lists(NUMBERS, max_size=60))
def test_every_known_value_stands_inside_the_box(values):
    places = tile_figures.trend_points(values)
    assert [place is None for place in places] == [value is None for value in values]
    for x, y in filter(None, places):
        assert 0 <= x <= tile_figures.WIDTH
        assert 0 <= y <= tile_figures.HEIGHT
    assert re.fullmatch(r"([ML][\d.]+ [\d.]+|h0)*", tile_figures.line(values))
