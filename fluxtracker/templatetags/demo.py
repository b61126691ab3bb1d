"""Mark every page of a demo."""

from __future__ import annotations

from django import template
from django.conf import settings

register = template.Library()


@register.inclusion_tag("parts/demo.html")
def demo_bar() -> dict[str, bool]:
    """Show that nothing here is real, where this process uses the data of a demo."""
    return {"is_demo": settings.DEMO}
