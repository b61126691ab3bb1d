"""The WSGI application that gunicorn serves."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from fluxtracker import database

GUNICORN_GIVES_UP = 4  # its exit code for "the application cannot be loaded": no endless starting again

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")

try:
    application = get_wsgi_application()
    database.enable()
except ImproperlyConfigured as error:
    sys.stderr.write(f"error: {error}\n")
    raise SystemExit(GUNICORN_GIVES_UP) from None
