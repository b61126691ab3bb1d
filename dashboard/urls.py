from django.urls import path

from dashboard import panel_views, views

app_name = "dashboard"
urlpatterns = [
    path("", views.home, name="home"),
    path("panels/<slug:name>/", panel_views.panel, name="panel"),
]
