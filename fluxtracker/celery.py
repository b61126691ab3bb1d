"""Define the Celery application. Its options are Django settings with the prefix CELERY_."""

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
# `migrate` and `make check` run Django's checks. Here they would import every view: 25 MB more per process.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("fluxtracker")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_our_logging(**_: Any) -> None:
    """Do nothing; being connected keeps Celery from changing Django's logging."""


@worker_init.connect
def share_memory(**_: Any) -> None:
    """Freeze imported objects for the garbage collector, so that the pool shares their memory."""
    gc.collect()
    gc.freeze()
