"""Add the kind of a job's failure, and protect the audit log in the database itself."""

from django.db import migrations, models

from ops.audit_log import protect
from ops.audit_log import unprotect


def add(apps, schema_editor):
    protect(schema_editor.connection)


def remove(apps, schema_editor):
    unprotect(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("ops", "0003_jobs_tokens_audit_alerts")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="failure",
            field=models.CharField(
                blank=True,
                choices=[
                    ("running", "already running elsewhere"),
                    ("upstream", "an upstream did not answer"),
                    ("refused", "it could not be done"),
                    ("database", "the database failed"),
                    ("broker", "the broker did not answer"),
                    ("worker", "its workers died or took too long"),
                    ("error", "an error that nobody foresaw"),
                ],
                help_text="What kind of failure it was.",
                max_length=10,
            ),
        ),
        migrations.RunPython(add, remove),
    ]
