"""Gives the admin our site. In a file of its own: Django looks for the room's own configuration in apps.py."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.db.models.signals import post_migrate


class OpsConfig(AppConfig):
    name = "ops"
    default = True

    def ready(self) -> None:
        from ops import heartbeat, registry  # noqa: F401  connects the worker's sign of life

        registry.discover()
        post_migrate.connect(install_schedule, sender=self)


def install_schedule(**_: Any) -> None:
    """The schedule's rows belong to a migrated database, like Django's own permissions."""
    from ops.schedule import install

    install()


class AdminConfig(SimpleAdminConfig):
    """Its pages are imported with the URLs, not by every worker."""

    default_site = "ops.admin_site.Site"
