from django.apps import AppConfig


class CarouselConfig(AppConfig):
    name = "carousel"
