"""The lists as they were last read: each image once by its normalised name, no end that took seconds for blocks."""

from django.db import migrations

from carousel.lists import label
from fluxtracker.images import image_name, image_reference
from fluxtracker.upstream.records import LAST_IN_BLOCKS
from ops.data_migrations import MendRows


def mend(apps, schema_editor):
    feeds = apps.get_model("carousel", "Feed")
    counted = dict(apps.get_model("metrics", "ImageCount").objects.values_list("image", "count"))
    for feed in feeds.objects.all():
        top = [item for item in feed.items if item["type"] == "app"]
        others = [item for item in feed.items if item["type"] != "app"]
        if any(item["name"] != image_name(item["name"]) for item in top):
            top = _merged(top, counted)
        for item in others:
            if item.get("image"):
                item["image"] = image_reference(item["image"])
        feed.items = [*top, *others]
        if feed.name == "expiring" and "endsUnknown" not in (feed.coverage or {}):
            _leave_out_invented_ends(feed)
        feed.save(update_fields=["items", "coverage"])


def _leave_out_invented_ends(feed):
    """Of a list of before, which took seconds for blocks. The next refresh tells the right ends."""
    known = [item for item in feed.items if (item.get("version") or 0) <= LAST_IN_BLOCKS]
    feed.coverage = (feed.coverage or {}) | {"endsUnknown": len(feed.items) - len(known)}
    feed.items = [item | {"rank": rank} for rank, item in enumerate(known, 1)]


def _merged(top, counted):
    """The ten do not tell the spellings below them: what was counted of all of them does."""
    found = {}
    for item in top:
        name = image_name(item["name"])
        listed = item["value"] + found.get(name, {"value": 0})["value"]
        found[name] = item | {"name": name, "label": label(name), "value": listed}
    for name, item in found.items():
        item["value"] = counted.get(name, item["value"])
    ordered = sorted(found.values(), key=lambda item: (-item["value"], item["name"]))
    return [item | {"rank": rank} for rank, item in enumerate(ordered, 1)]


class Migration(migrations.Migration):
    dependencies = [("carousel", "0002_feed_coverage"), ("metrics", "0004_merge_image_names")]
    operations = [MendRows(mend)]
