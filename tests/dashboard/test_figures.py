from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fluxtracker import formatting

NOW = datetime(2026, 11, 18, 14, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("sat", "places", "words"),
    [
        (3_120_455_000_000, 2, "31,204.55"),
        (1, 8, "0.00000001"),
        (123_456_789, 8, "1.23456789"),
        (0, 2, "0.00"),
        (-5_000_000_000, 2, "−50.00"),
    ],
)
def test_flux_has_commas_and_a_true_minus(sat: int, places: int, words: str) -> None:
    assert formatting.flux(sat, places) == words


@given(st.integers(min_value=0, max_value=10**17))
def test_eight_decimals_lose_nothing(sat: int) -> None:
    assert int(formatting.flux(sat, 8).replace(",", "").replace(".", "")) == sat


@pytest.mark.parametrize(
    ("micro", "words"),
    [
        (2_321_600_000, "$2,321.60"),
        (0, "$0.00"),
        (700, "< $0.01"),
        (10_000, "$0.01"),
        (-171_870_000, "−$171.87"),
    ],
)
def test_dollars_never_round_something_to_nothing(micro: int, words: str) -> None:
    assert formatting.usd(micro) == words


@pytest.mark.parametrize(
    ("value", "words"), [("0.0744123", "$0.07441"), ("1.5", "$1.500"), ("12345.678", "$12,345.68"), ("0.8", "$0.8000")]
)
def test_a_price_has_four_significant_digits(value: str, words: str) -> None:
    assert formatting.price(Decimal(value)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s ago"),
        (41, "41 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (7_300, "2 h ago"),
        (86_400, "on 17 Nov 2026"),
    ],
)
def test_an_age_is_told_in_its_largest_unit_and_from_a_day_on_by_its_date(seconds: int, words: str) -> None:
    assert formatting.ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_long_identifiers_keep_their_beginning_and_end() -> None:
    assert formatting.short("5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9") == "5feceb66…fb57e9"
    assert formatting.short("short") == "short"


def test_one_is_singular() -> None:
    assert formatting.plural(1, "payment") == "1 payment"
    assert formatting.plural(1_204, "payment") == "1,204 payments"
