"""Configure the project package as a Django app."""

from django.apps import AppConfig

from fluxtracker.celery import app as celery_app  # so that tasks find it wherever Django runs


class FrameConfig(AppConfig):
    name = "fluxtracker"
    celery = celery_app
