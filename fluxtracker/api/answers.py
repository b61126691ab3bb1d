"""Shapes that answers of every room have."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers


class ErrorAnswer(serializers.Serializer[Any]):
    """What every error says."""

    error = serializers.CharField(help_text="What is wrong and what is allowed.")
    fields = serializers.DictField(  # type: ignore[assignment]  # the wire name
        child=serializers.CharField(), required=False, help_text="The same by query key."
    )


class PageAnswer(serializers.Serializer[Any]):
    """What every page says besides its rows."""

    total = serializers.IntegerField(min_value=0, help_text="Every matching row, whatever the page.")
    page = serializers.IntegerField(min_value=1)
    limit = serializers.IntegerField(min_value=1)
    totalPages = serializers.IntegerField(min_value=0)
