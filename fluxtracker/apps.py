"""Django's app configuration of the project package."""

from django.apps import AppConfig

from fluxtracker.celery import app as celery_app  # so that tasks find it wherever Django runs


class FrameConfig(AppConfig):
    name = "fluxtracker"
    celery = celery_app
