"""The ASGI application that granian serves."""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fluxtracker.settings")
django.setup()

from fluxtracker import database
from fluxtracker.web.asgi_app import Application

database.enable()
sys.setswitchinterval(0.001)  # s: the event loop waits that long for each thread that computes; 5 ms by default
application = Application()
