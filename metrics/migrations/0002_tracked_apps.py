"""The rows that a new installation begins with. What operators change later stays."""

from django.db import migrations

from metrics.catalogue import CATEGORIES
from metrics.catalogue import TRACKED


def seed(apps, schema_editor):
    tracked, category = apps.get_model("metrics", "TrackedApp"), apps.get_model("metrics", "Category")
    for name, key, kind, images, names in TRACKED:
        tracked.objects.get_or_create(
            category=kind, key=key, defaults={"name": name, "image_patterns": images, "name_patterns": names}
        )
    for key, order, images, names in CATEGORIES:
        category.objects.get_or_create(
            key=key, defaults={"order": order, "image_keywords": images, "name_patterns": names}
        )


class Migration(migrations.Migration):
    dependencies = [("metrics", "0001_initial")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
