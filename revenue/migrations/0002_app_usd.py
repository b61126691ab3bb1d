from django.db import migrations, models

# The same on both engines; no door of the ledger is open while migrations run.
FILL = """
    UPDATE revenue_app SET
        usd_micro = COALESCE((SELECT SUM(usd_micro) FROM revenue_payment WHERE app_id = revenue_app.id), 0),
        priced = (SELECT COUNT(usd_micro) FROM revenue_payment WHERE app_id = revenue_app.id)
"""


class Migration(migrations.Migration):
    dependencies = [("revenue", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="app",
            name="usd_micro",
            field=models.BigIntegerField(default=0, help_text="Sum over the priced payments."),
        ),
        migrations.AddField(
            model_name="app",
            name="priced",
            field=models.PositiveIntegerField(default=0, help_text="How many payments have a USD value."),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
