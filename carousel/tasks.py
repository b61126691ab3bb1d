"""The Celery task of the carousel: thin, safe to run twice, safe to kill."""

from carousel import services

refresh_carousel = services.refresh_carousel.task()
