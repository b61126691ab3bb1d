"""Django's app configuration of the frame."""

from django.apps import AppConfig


class FrameConfig(AppConfig):
    name = "fluxtracker"
