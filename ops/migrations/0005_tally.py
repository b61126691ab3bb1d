from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ops', '0004_job_failure_audit_triggers'),
    ]

    operations = [
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=20)),
                ('label', models.CharField(help_text='The work, or the host.', max_length=100)),
                ('outcome', models.CharField(blank=True, max_length=20)),
                ('value', models.FloatField(default=0)),
            ],
            options={
                'verbose_name_plural': 'tallies',
                'constraints': [models.UniqueConstraint(fields=('name', 'label', 'outcome'), name='tally_once')],
            },
        ),
    ]
