"""What blocks issue, at the heights where that changes."""

import pytest

from reports.subsidy import issued_sat, subsidy_sat

FLUX = 100_000_000


@pytest.mark.parametrize(
    ("height", "flux"),
    [
        (5_000, 150), (657_849, 150), (657_850, 75), (1_313_199, 75), (1_313_200, 37.5), (1_968_550, 37.5),
        (2_019_999, 37.5), (2_020_000, 14), (3_071_199, 14), (3_071_200, 12.6), (4_122_400, 11.34),
    ],
)  # fmt: skip
def test_a_block_issues_what_its_era_says(height, flux):
    assert subsidy_sat(height) == flux * FLUX


def test_it_is_reduced_twenty_times_and_no_more():
    assert subsidy_sat(2_020_000 + 20 * 1_051_200) == subsidy_sat(2_020_000 + 30 * 1_051_200) == 170_207_313


@pytest.mark.parametrize(
    ("low", "high"), [(3_071_190, 3_071_210), (2_019_990, 2_020_010), (657_840, 657_860), (7_000, 7_000)]
)
def test_a_range_issues_the_sum_of_its_blocks(low, high):
    assert issued_sat(low, high) == sum(map(subsidy_sat, range(low, high)))


def test_the_slow_start_is_not_known():
    with pytest.raises(ValueError, match="first blocks"):
        subsidy_sat(4_999)
