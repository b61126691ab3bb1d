#!/usr/bin/env python
"""Django's command line for this project."""

import gc
import os
import sys


def main() -> None:
    gc.set_threshold(50_000)  # most of what a command allocates stays: looking through it takes a fifth of its start
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        from fluxtracker import settings  # noqa: F401  a wrong setting ends here with one line, not a traceback
    except ImproperlyConfigured as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except DatabaseError as error:  # out of reach, not made, not migrated, damaged
        if "--traceback" in sys.argv:
            raise
        from ops.jobs.runs import one_line

        sys.stderr.write(f"error: database: {one_line(error)}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
