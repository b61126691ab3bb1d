from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.api.conftest import plain_static_files
from tests.dashboard.conftest import clock

__all__ = ["clock", "plain_static_files"]


@pytest.fixture
def olivia(db: None) -> Client:
    """Olivia operates the site and may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("olivia", password="only-for-this-test"))
    return client


@pytest.fixture
def victor(db: None) -> Client:
    """Victor is staff and may look at everything of the ledger, no more."""
    user = User.objects.create_user("victor", password="only-for-this-test", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client
