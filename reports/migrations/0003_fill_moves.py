from django.db import migrations


class Migration(migrations.Migration):
    """The fill of each day belongs to deployments: its table takes the name there, and keeps its rows."""

    dependencies = [
        ('reports', '0002_fill'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.AlterModelTable('fillday', 'deployments_fillday')],
            state_operations=[migrations.DeleteModel('FillDay')],
        ),
    ]
