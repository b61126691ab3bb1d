"""Route the report's pages."""

from django.urls import path

from reports import views

app_name = "reports"
urlpatterns = [
    path("reports/", views.index, name="index"),
    path("reports/<slug:bucket>/<str:key>/", views.page, name="page"),
]
