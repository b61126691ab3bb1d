"""Properties of satoshi, dollars and percent."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fluxtracker import money

SAT = st.integers(0, 2**26 * money.SAT)  # up to there a JSON number is exact


@given(SAT)
@example(2**26 * money.SAT - 1)
def test_flux_as_a_number_is_exact_to_the_satoshi(sat):
    assert round(Decimal(money.flux(sat)) * money.SAT) == sat
    assert Decimal(repr(money.flux(sat))).scaleb(8) == sat


@given(SAT, SAT)
def test_a_change_has_the_sign_of_its_trend_and_is_never_a_negative_zero(current, previous):
    pair = money.Pair(current, previous)
    change = pair.percentage
    if not previous:
        assert change is None
        return
    assert str(change) != "-0.0"
    assert {"up": change >= 0, "down": change <= 0, "neutral": change == 0}[pair.trend]


@pytest.mark.parametrize(("current", "previous", "percent"), [(10_500, 10_200, 2.94), (0, 5, -100.0), (5, None, None)])
def test_percent_is_rounded_to_two_decimals(current, previous, percent):
    assert money.Pair(current, previous).percentage == percent


@given(st.integers(1, 10**15), st.decimals("0.0001", "10000", places=6))
def test_dollars_are_rounded_half_to_even_in_micro_dollars(sat, price):
    exact = Decimal(sat) * price / money.SAT * money.MICRO
    assert abs(money.usd_micro(sat, price) - exact) <= Decimal("0.5")


@pytest.mark.parametrize("wrong", ["", "x", "nan", "inf", "-1", 0, True, 10_001, "1e-11", None])
def test_what_is_no_price_is_refused(wrong):
    with pytest.raises(ValueError, match="a price must"):
        money.price(wrong)
