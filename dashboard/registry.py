"""The panels there are, by the name under which `/panels/<name>/` answers."""

from __future__ import annotations

from dashboard.chart import CHART
from dashboard.feeds import FEEDS
from dashboard.panels import Panel
from dashboard.payments_panel import PAYMENTS
from dashboard.sources import SOURCES
from dashboard.strip import STRIP
from dashboard.tiles import TILES

PANELS: dict[str, Panel] = {panel.name: panel for panel in (STRIP, FEEDS, TILES, CHART, PAYMENTS, SOURCES)}
