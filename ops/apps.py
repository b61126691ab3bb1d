"""Configure the app, and give the admin our site."""

from __future__ import annotations

from typing import Any

from celery.signals import celeryd_init
from django.apps import AppConfig
from django.contrib.admin.apps import SimpleAdminConfig
from django.core import checks
from django.db.models.signals import post_migrate


class OpsConfig(AppConfig):
    name = "ops"
    default = True

    def ready(self) -> None:
        checks.register(check_sign_in, checks.Tags.security, deploy=True)
        celeryd_init.connect(prepare_worker)
        post_migrate.connect(install_schedule, sender=self)


def check_sign_in(**_: Any) -> list[checks.CheckMessage]:
    """Return incomplete settings of single sign-on."""
    from ops.access import single_sign_on

    return single_sign_on.check_settings()


def prepare_worker(**_: Any) -> None:
    """Import before the pool forks what each of its processes would import itself."""
    from ops import heartbeat, registry  # noqa: F401  connects the worker's sign of life

    registry.discover()


def install_schedule(**_: Any) -> None:
    """Add the schedule's rows to a migrated database, as Django adds its permissions."""
    from ops.schedule_rows import install

    install()


class AdminConfig(SimpleAdminConfig):
    """Imports the admin's pages with the URLs, not in every worker."""

    default_site = "ops.admin_site.Site"
