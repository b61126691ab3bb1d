"""Route /api/: the three lists."""

from django.urls import path

from carousel.api import views

urlpatterns = [
    path("carousel/stats", views.NetworkView.as_view(), name="carousel-stats"),
    path("carousel/deployed", views.DeployedView.as_view(), name="carousel-deployed"),
    path("carousel/expiring", views.ExpiringView.as_view(), name="carousel-expiring"),
]
