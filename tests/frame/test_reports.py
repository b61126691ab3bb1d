"""The text that commands print."""

from ops.base_commands import _lines


def test_single_values_stand_on_one_line_with_a_dash_for_the_unknown():
    assert (
        _lines({"added": 3, "lastSyncBlock": None, "failedSources": []}) == "added 3, lastSyncBlock -, failedSources -"
    )


def test_values_by_name_are_spelled_out():
    assert _lines({"sources": {"nodes": "ok", "price": "stale"}}) == "sources nodes ok, price stale"


def test_each_row_of_a_list_has_a_line():
    report = {"checks": [{"name": "stats", "latencyMs": 71}, {"name": "Kaspa", "latencyMs": None}], "requests": 7}
    assert _lines(report) == "requests 7\nname stats, latencyMs 71\nname Kaspa, latencyMs -"
    assert _lines({"checks": report["checks"][:1]}) == "name stats, latencyMs 71"
