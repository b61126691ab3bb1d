"""Describe and write the list of the files of completed months."""

from __future__ import annotations

from rest_framework import serializers

from fluxtracker.api.fields import Answer


class FileAnswer(Answer):
    name = serializers.CharField()
    url = serializers.CharField(help_text="Path of the file.")
    bytes = serializers.IntegerField(source="size")
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True, help_text="null: it is no table.")


class MonthAnswer(Answer):
    month = serializers.CharField(source="key", help_text="As 2026-10.")
    madeAt = serializers.DateTimeField(source="made_at")
    files = FileAnswer(many=True)


class FilesAnswer(Answer):
    licence = serializers.CharField(help_text="SPDX name of the licence of all files.")
    months = MonthAnswer(many=True)
