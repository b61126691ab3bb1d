"""Under /api/: how the system is, and the jobs of the staff."""

from django.urls import path

from ops import api, job_api
from ops.jobs_table import NAMES

urlpatterns = [
    path("health", api.HealthView.as_view(), name="health"),
    path("health/live", api.LiveView.as_view(), name="health-live"),
    path("health/ready", api.ReadyView.as_view(), name="health-ready"),
    path("admin/jobs", job_api.JobsView.as_view(), name="jobs"),
    path("admin/jobs/<int:number>", job_api.JobView.as_view(), name="job"),
    path("admin/jobs/<int:number>/cancel", job_api.CancelView.as_view(), name="job-cancel"),
    *(path(f"admin/{name}", job_api.verb_view(name), name=f"ask-{name}") for name in NAMES),
]
