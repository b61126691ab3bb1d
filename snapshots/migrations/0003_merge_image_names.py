"""Each day's counts of one image under several spellings become one count under its normalised name."""

from collections import defaultdict

from django.db import migrations

from fluxtracker.images import image_name, merged_counts
from ops.data_migrations import MendRows

MOST = 2**31 - 1


def merge(apps, schema_editor):
    """Rows that change are made anew: their ids tell caches that the history changed."""
    days = apps.get_model("snapshots", "ImageDay")
    spellings = defaultdict(list)
    for image in days.objects.order_by().values_list("image", flat=True).distinct():
        spellings[image_name(image) or image].append(image)
    for name, images in spellings.items():
        if images != [name]:
            _merge(days, images)


def _merge(days, images):
    """In memory are the rows of one image."""
    rows = days.objects.filter(image__in=images)
    by_day = defaultdict(list)
    for day, *count in rows.order_by().values_list("day", "image", "category", "count"):
        by_day[day].append(count)
    rows.delete()
    days.objects.bulk_create(
        (
            days(day=day, image=image, category=category, count=min(count, MOST))
            for day, counts in by_day.items()
            for image, (category, count) in merged_counts(counts).items()
        ),
        batch_size=1_000,
    )


class Migration(migrations.Migration):
    dependencies = [("snapshots", "0001_initial")]
    operations = [MendRows(merge)]
