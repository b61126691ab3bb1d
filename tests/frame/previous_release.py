"""Writes `previous_release.json`: run it on the release that is about to become the previous one.

`python -m tests.frame.previous_release`
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import django

FILE = Path(__file__).with_suffix(".json")
OURS = ("ops", "revenue", "metrics", "carousel", "snapshots")


def columns() -> dict[str, dict[str, str]]:
    """Every table of the project with its columns and their types."""
    from django.apps import apps

    return {
        model._meta.db_table: {str(field.column): field.get_internal_type() for field in model._meta.concrete_fields}
        for name in OURS
        for model in apps.get_app_config(name).get_models(include_auto_created=True)
    }


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
    django.setup()
    FILE.write_text(json.dumps(columns(), indent=1, sort_keys=True) + "\n")
