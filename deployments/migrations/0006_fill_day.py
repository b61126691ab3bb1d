from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('deployments', '0005_owners_newest'),
        ('reports', '0003_fill_moves'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='FillDay',
                    fields=[
                        ('day', models.DateField(primary_key=True, serialize=False)),
                        ('read_at', models.DateTimeField(help_text='When the running instances were read.')),
                        ('ordered', models.PositiveIntegerField(help_text='Instances that apps in force pay for.')),
                        ('running', models.PositiveIntegerField(help_text='Of these, how many ran.')),
                        ('expired_running', models.PositiveIntegerField(help_text='Instances of apps that ended a day ago or earlier.')),
                    ],
                    options={
                        'ordering': ['-day'],
                    },
                ),
            ],
        ),
    ]
