"""`/metrics`: for a Prometheus that shows a token of the staff; METRICS_ON_LOOPBACK lets one on this machine in."""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from drf_spectacular.utils import extend_schema
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from fluxtracker.api.rendering import JSONRenderer
from fluxtracker.client_address import client_address
from ops import prometheus
from ops.access import IsStaff


def needs_nothing(request: HttpRequest) -> bool:
    """Whether it is a direct client on this machine, and those are let in. Else one is a stranger until told who."""
    return settings.METRICS_ON_LOOPBACK and client_address(request) is None


class StaffOrThisMachine(IsStaff):
    def has_permission(self, request: Request, view: object) -> bool:
        return needs_nothing(request._request) or super().has_permission(request, view)


class MetricsView(APIView):
    """Errors are JSON, as everywhere."""

    permission_classes: Sequence[type[BasePermission]] = (StaffOrThisMachine,)
    renderer_classes = (JSONRenderer,)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """There is one form, whatever is asked for."""
        return super().perform_content_negotiation(request, force=True)

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Whom nobody asks needs no database: without one there is still something to tell."""
        request = self.request
        return [] if request is not None and needs_nothing(request) else super().get_authenticators()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        response = HttpResponse(prometheus.text(timezone.now()), content_type=CONTENT_TYPE_PLAIN_0_0_4)
        patch_cache_control(response, no_store=True)
        return response
