from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0006_fill_day'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='appevent',
            name='app_event_day',
        ),
        migrations.AddIndex(
            model_name='appevent',
            index=models.Index(fields=['day', 'kind', 'revenue_sat', 'usd_micro', 'payments', 'priced', 'owner', 'app'], name='app_event_kinds'),
        ),
    ]
