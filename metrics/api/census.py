"""Serve how decentralised the network is, and which nodes came and went."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from fluxtracker.api.fields import Answer, DaysQuery
from fluxtracker.api.views import ReadView
from metrics.census.selectors import census_stamp, decentralisation, node_changes

NOT_KNOWN = "null: not known, `notes` says why."


class Weights(Answer):
    nodes = serializers.IntegerField()
    collateral = serializers.IntegerField(help_text="FLUX: 1,000, 12,500 or 40,000 a node.")
    cores = serializers.FloatField(allow_null=True, help_text="Of the nodes that tell theirs; null: none does.")


class Place(Weights):
    code = serializers.CharField(help_text="Two letters.")


class Provider(Weights):
    asn = serializers.IntegerField(help_text="The number of its autonomous system (AS).")
    names = serializers.ListField(child=serializers.CharField(), help_text="That it goes by, the most frequent first.")


class Version(Weights):
    version = serializers.CharField(help_text="As the node tells it.")


class Versions(Answer):
    fluxos = Version(many=True)
    daemon = Version(many=True)
    benchmark = Version(many=True)


class ConcentrationOfWeight(Answer):
    count = serializers.IntegerField()
    nakamoto33 = serializers.IntegerField(help_text="How few of the largest have more than 33 % together.")
    nakamoto50 = serializers.IntegerField(help_text="How few have more than 50 %.")
    hhi = serializers.FloatField(help_text="Herfindahl-Hirschman index, up to 10,000 for a single one.")
    top10_percent = serializers.FloatField(help_text="Share of the ten largest, %.")


class Concentration(ConcentrationOfWeight):
    collateral = ConcentrationOfWeight(allow_null=True, help_text="The same, weighed by collateral.")
    cores = ConcentrationOfWeight(allow_null=True, help_text="The same, weighed by cores.")


class Operators(Answer):
    by_payment_address = Concentration(allow_null=True, help_text=NOT_KNOWN)
    by_zelid = Concentration(allow_null=True, help_text="Of the nodes that were reached.")
    by_pubkey = Concentration(allow_null=True, help_text=NOT_KNOWN)


class Concentrations(Answer):
    countries = Concentration(allow_null=True)
    providers = Concentration(allow_null=True)


class TierWeights(Answer):
    cumulus = Weights()
    nimbus = Weights()
    stratus = Weights()


class ArcaneShares(Answer):
    collateral = serializers.FloatField(allow_null=True, help_text="% of the collateral.")
    cores = serializers.FloatField(allow_null=True, help_text="% of the cores.")


def _ready(answer: type[Answer], **options: Any) -> serializers.JSONField:
    """Return a field for what is stored in the form of an answer already: it is written as it is."""
    many = options.pop("many", False)
    described = answer(many=True) if many else answer()

    @extend_schema_field(described)
    class Ready(serializers.JSONField):
        pass

    return Ready(**options)


class Figures(Answer):
    operators = _ready(Operators, help_text="Three answers, none is people.")
    tiers = _ready(TierWeights, allow_null=True, help_text=NOT_KNOWN)
    countries = _ready(Place, many=True, allow_null=True, help_text=NOT_KNOWN)
    continents = _ready(Place, many=True, allow_null=True, help_text=NOT_KNOWN)
    providers = _ready(Provider, many=True, allow_null=True, help_text=NOT_KNOWN)
    versions = _ready(Versions, allow_null=True, help_text=NOT_KNOWN)
    concentration = _ready(Concentrations, allow_null=True, help_text=NOT_KNOWN)
    arcane_percent = serializers.FloatField(
        allow_null=True, help_text="ArcaneOS among the nodes that were reached and tell their system, %."
    )
    arcane = _ready(ArcaneShares, allow_null=True, help_text=NOT_KNOWN)


class FiguresOfDay(Figures):
    date = serializers.DateField(help_text="As last read on this UTC day; the lists have their ten largest.")


class DecentralisationAnswer(Figures):
    date = serializers.DateField(allow_null=True, help_text="The last known day of the range; its lists are whole.")
    data = _ready(FiguresOfDay, many=True, help_text="By day, oldest first, from the first census on.")  # type: ignore[assignment]  # the wire name
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    coverage = serializers.DictField(help_text="How many nodes each part rests on; the days that are known.")
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null.")


class TierChange(Answer):
    joins = serializers.IntegerField(allow_null=True)
    leaves = serializers.IntegerField(allow_null=True)
    moves = serializers.IntegerField(allow_null=True, help_text="Nodes with another address than before.")


class NodeChangesOfDay(Answer):
    date = serializers.DateField()
    since = serializers.DateTimeField(
        allow_null=True, help_text="When the list was read that the day's first one was compared with; null: none was."
    )
    cumulus = TierChange()
    nimbus = TierChange()
    stratus = TierChange()
    total = TierChange()


class NodeChangesAnswer(Answer):
    data = NodeChangesOfDay(many=True, help_text="Oldest first, from the first comparison on.")  # type: ignore[assignment]  # the wire name
    total = TierChange(help_text="Over all days that are known.")
    asOf = serializers.DateTimeField(source="as_of", allow_null=True)
    coverage = serializers.DictField()
    notes = serializers.DictField(child=serializers.CharField(), help_text="Why a figure is null.")


class CensusView(ReadView):
    tag = "network"
    query = DaysQuery

    def etag(self, now: datetime) -> object:
        return census_stamp(), now.date()


class DecentralisationView(CensusView):
    """Who operates the nodes, where they are and what they run: now, and by day.

    Each group has its nodes, their collateral and their cores. An operator is an address, a ZelID or a key: one
    person may have several.
    """

    name, operation = "Decentralisation", "network_decentralisation"
    answer = DecentralisationAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return decentralisation(values["start"], values["end"])


class NodeChangesView(CensusView):
    """Nodes that joined, left and moved, by day and tier."""

    name, operation = "Joins, leaves and moves", "network_nodes"
    answer = NodeChangesAnswer

    def read(self, values: dict[str, Any], now: datetime) -> dict[str, Any]:
        return node_changes(values["start"], values["end"])
