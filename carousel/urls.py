"""Under /api/: the three lists."""

from django.urls import path

from carousel import answers, api
from carousel.models import Feed

urlpatterns = [
    path(
        "carousel/stats",
        api.list_view(Feed.Name.NETWORK, answers.NetworkAnswer, "carousel_stats"),
        name="carousel-stats",
    ),
    path(
        "carousel/deployed",
        api.list_view(Feed.Name.DEPLOYED, answers.DeployedAnswer, "carousel_deployed"),
        name="carousel-deployed",
    ),
    path(
        "carousel/expiring",
        api.list_view(Feed.Name.EXPIRING, answers.ExpiringAnswer, "carousel_expiring"),
        name="carousel-expiring",
    ),
]
