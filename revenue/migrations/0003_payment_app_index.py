from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("revenue", "0002_app_usd")]

    operations = [
        migrations.RemoveIndex(model_name="payment", name="payment_app"),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["app", "paid_at", "id", "app_type", "amount_sat"], name="payment_app"),
        ),
    ]
