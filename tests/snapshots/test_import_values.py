"""Numbers of the old tracker that no column of ours holds."""

from datetime import date

import pytest

from snapshots.imports.rows import images, read_gigabytes

DAY = date(2026, 11, 20)


@pytest.mark.parametrize("told", [1e308, 1e10, float("inf"), float("nan"), -1.0, True, "5", None])
def test_a_size_that_is_none_is_not_known(told):
    assert read_gigabytes(told) is None


def test_a_size_is_told_in_terabytes():
    assert read_gigabytes(1.5) == 1500


def test_counts_of_one_image_that_add_up_to_too_much_are_left_out():
    rows = [{"snapshot_date": "2026-11-19", "image_name": name, "instance_count": 2**31 - 1} for name in ("a", "A:1")]
    found = images(rows, DAY)
    assert [row.count for row in found.rows] == [2**31 - 1]
    assert found.left_out == {"no count": 1}
