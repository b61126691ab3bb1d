"""Show the three lists in the admin."""

from __future__ import annotations

from django.contrib import admin

from carousel.models import Feed
from fluxtracker.admin import ReadOnlyAdmin, column


@admin.register(Feed)
class FeedAdmin(ReadOnlyAdmin):
    list_display = ("name", "length", "read_at", "tried_at", "error")

    length = column("items", lambda feed: len(feed.items))
