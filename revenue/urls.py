"""Under /api/: health."""

from django.urls import path

urlpatterns: list = []
