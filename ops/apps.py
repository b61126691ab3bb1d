from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OpsConfig(AppConfig):
    name = "ops"

    def ready(self) -> None:
        from ops import worker  # noqa: F401  connects the worker's sign of life

        post_migrate.connect(install_schedule, sender=self)


def install_schedule(**_: Any) -> None:
    """The schedule's rows belong to a migrated database, like Django's own permissions."""
    from ops.schedule import install

    install()
