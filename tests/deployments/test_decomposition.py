from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.price_and_volume import Missing, Parts, Sold, split_change

FLUX, USD, MONTH = 10**8, 10**6, 2_629_800


def test_a_dearer_flux_alone_explains_that_fewer_are_paid():
    before = Sold(1_000 * FLUX, 100 * USD, 50 * MONTH)
    now = Sold(500 * FLUX, 100 * USD, 50 * MONTH)

    assert split_change(now, before) == Parts(-500 * FLUX, 0, 0)


def test_twice_the_volume_alone_explains_twice_the_revenue():
    before = Sold(1_000 * FLUX, 100 * USD, 50 * MONTH)
    now = Sold(2_000 * FLUX, 200 * USD, 100 * MONTH)

    assert split_change(now, before) == Parts(0, 1_000 * FLUX, 0)


def test_a_dearer_unit_alone_explains_the_rest():
    before = Sold(1_000 * FLUX, 100 * USD, 50 * MONTH)
    now = Sold(3_000 * FLUX, 300 * USD, 50 * MONTH)

    assert split_change(now, before) == Parts(0, 0, 2_000 * FLUX)


def test_factors_that_cancel_out_have_parts_all_the_same():
    before = Sold(1_000 * FLUX, 100 * USD, 50 * MONTH)
    now = Sold(1_000 * FLUX, 200 * USD, 100 * MONTH)

    part = round(1_000 * FLUX * log(2))
    assert split_change(now, before) == Parts(-part, part, 0)


@pytest.mark.parametrize(
    ("lacking", "reason"),
    [
        (Sold(0, 100, 100), Missing.REVENUE),
        (Sold(100, 0, 100), Missing.PRICE),
        (Sold(100, 100, 0), Missing.VOLUME),
        (Sold(0, 0, 0), Missing.REVENUE),
    ],
)
def test_a_factor_that_is_zero_is_the_reason_why_there_are_no_parts(lacking, reason):
    assert split_change(lacking, Sold(100, 100, 100)) == reason
    assert split_change(Sold(100, 100, 100), lacking) == reason


amounts = st.integers(1, 10**18)
sold = st.builds(Sold, amounts, amounts, amounts)


@given(sold, sold)
def test_the_parts_add_up_to_the_change_and_swap_signs_with_the_periods(now, before):
    parts, back = split_change(now, before), split_change(before, now)
    values = [parts.flux_price_sat, parts.volume_sat, parts.unit_price_sat]

    assert sum(values) == now.revenue_sat - before.revenue_sat
    assert [back.flux_price_sat, back.volume_sat, back.unit_price_sat] == [-value for value in values]
