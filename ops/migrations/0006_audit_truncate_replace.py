"""An audit log that cannot be emptied by TRUNCATE (PostgreSQL) nor rewritten by REPLACE (SQLite), either."""

from django.db import migrations

from ops.audit_log import protect


def add(apps, schema_editor):
    protect(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("ops", "0005_tally")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
