"""Gives the admin our site. In a file of its own: Django looks for the room's own configuration in apps.py."""

from __future__ import annotations

from django.contrib.admin.apps import SimpleAdminConfig


class AdminConfig(SimpleAdminConfig):
    """Its pages are imported with the URLs, not by every worker."""

    default_site = "ops.admin_site.Site"
