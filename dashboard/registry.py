"""The panels there are, by the name under which `/panels/<name>/` answers."""

from __future__ import annotations

from dashboard.panels import Panel

PANELS: dict[str, Panel] = {}
