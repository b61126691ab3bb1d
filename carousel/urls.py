"""Under /api/: the three lists."""

from django.urls import path

from carousel.api import views
from carousel.models import Feed

urlpatterns = [
    path(
        "carousel/stats",
        views.list_view(Feed.Name.NETWORK, views.NetworkAnswer, "carousel_stats"),
        name="carousel-stats",
    ),
    path(
        "carousel/deployed",
        views.list_view(Feed.Name.DEPLOYED, views.DeployedAnswer, "carousel_deployed"),
        name="carousel-deployed",
    ),
    path(
        "carousel/expiring",
        views.list_view(Feed.Name.EXPIRING, views.ExpiringAnswer, "carousel_expiring"),
        name="carousel-expiring",
    ),
]
