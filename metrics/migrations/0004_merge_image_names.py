"""The counts of one image under several spellings become one count under its normalised name."""

from django.db import migrations

from fluxtracker.images import merged_counts
from ops.data_migrations import MendRows

MOST = 2**31 - 1


def merge(apps, schema_editor):
    counts = apps.get_model("metrics", "ImageCount")
    rows = list(counts.objects.values_list("image", "category", "count"))
    merged = merged_counts(rows)
    if {image for image, *_ in rows} != merged.keys():
        counts.objects.all().delete()
        counts.objects.bulk_create(
            counts(image=image, category=category, count=min(count, MOST))
            for image, (category, count) in merged.items()
        )


class Migration(migrations.Migration):
    dependencies = [("metrics", "0003_doubted_readings")]
    operations = [MendRows(merge)]
