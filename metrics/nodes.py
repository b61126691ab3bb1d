"""How many nodes there are."""

from __future__ import annotations

from fluxtracker.upstream.records import NodeCounts
from metrics.readout import Readout


def count_nodes(found: NodeCounts) -> Readout:
    """The total is the sum of the tiers; a total that was told and differs is noted."""
    coverage = {"tiers": 3, "toldTotal": found.told_total, "totalDiffers": found.told_total not in (None, found.total)}
    values = {
        "node_total": found.total,
        "node_cumulus": found.cumulus,
        "node_nimbus": found.nimbus,
        "node_stratus": found.stratus,
    }
    return Readout(values, coverage, found.total)
