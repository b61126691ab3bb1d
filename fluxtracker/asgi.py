"""Define the ASGI application served by granian."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
django.setup()

from fluxtracker import database
from fluxtracker.web.asgi_app import Application

database.enable()
sys.setswitchinterval(0.001)  # s that the event loop waits for each computing thread; 5 ms by default
application = Application()
