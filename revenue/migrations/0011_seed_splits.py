"""Labels and rules that a new installation begins with; all days that there are have to be split."""

from datetime import date

from django.db import migrations

from ops.data_migrations import MendRows

LABELS = (  # subject, kind, class, words, source
    ("t1XktDZ9Z1QiefMYE5nMFohe8VG2c2BD5A5", "address", "card", "Card gateway", "observed: it pays for many owners"),
    ("t1gjUUxBpBeVC1sWwAFrtSsVCbSaFdZx8UY", "address", "team", "Team wallet", "a curated list of the community"),
    ("t1Mzja9iJcEYeW5B4m4s1tJG8M42odFZ16A", "address", "platform", "Platform wallet", "FluxOS: addressDevelopment"),
    ("196GJWyLxzAw3MirTT7Bqs2iGpUQio29GH", "owner", "team", "Apps of the team", "a curated list of the community"),
)
RULES = (  # from block, from day, foundation, operators, words, source
    (0, date(2018, 1, 1), 1_000_000, 0, "All of a payment reaches the foundation.", "FluxOS"),
    (3_787_502, date(2027, 7, 1), 800_000, 200_000,
     "Progressive Node Rewards: 20 % go to a pool for operators.", "announced: RunOnFlux Fluxnode 207"),
)  # fmt: skip


def seed(apps, schema_editor):
    label, rule = apps.get_model("revenue", "Label"), apps.get_model("revenue", "ShareRule")
    for subject, kind, category, words, source in LABELS:
        label.objects.get_or_create(
            subject=subject, kind=kind, valid_from=None, defaults={"category": category, "words": words, "source": source}
        )
    for height, day, foundation, operators, words, source in RULES:
        shares = {"foundation_ppm": foundation, "operators_ppm": operators}
        rule.objects.get_or_create(
            from_height=height, defaults={"from_day": day, "words": words, "source": source, **shares}
        )


def mark(apps, schema_editor):
    changed = apps.get_model("revenue", "ChangedDay")
    days = apps.get_model("revenue", "DailyTotal").objects.values_list("day", flat=True).distinct()
    changed.objects.bulk_create([changed(day=day) for day in days], ignore_conflicts=True, batch_size=10_000)


class Migration(migrations.Migration):
    dependencies = [("revenue", "0010_splits")]
    operations = [MendRows(seed), MendRows(mark)]
