"""Route /api/: health of the system, and jobs of the staff."""

from django.urls import path

from ops.api import views
from ops.registry import jobs

urlpatterns = [
    path("health", views.HealthView.as_view(), name="health"),
    path("health/live", views.LiveView.as_view(), name="health-live"),
    path("health/ready", views.ReadyView.as_view(), name="health-ready"),
    path("admin/jobs", views.JobsView.as_view(), name="jobs"),
    path("admin/jobs/<int:number>", views.JobView.as_view(), name="job"),
    path("admin/jobs/<int:number>/cancel", views.CancelView.as_view(), name="job-cancel"),
    *(path(f"admin/{name}", views.job_request_view(job), name=f"ask-{name}") for name, job in jobs().items()),
]
