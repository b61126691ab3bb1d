"""Several processes that keep the comparisons warm at the same time, while the network changes."""

import json

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.warm]

CHANGE_AND_KEEP = """
from django.utils import timezone
from metrics.models import Source
from snapshots.comparison.cache import keep_warm
for number in range(30):
    Source.objects.update_or_create(
        name="nodes", defaults={"values": {"node_total": number}, "read_at": timezone.now()}
    )
    keep_warm()
"""
KEEP_AND_ASK = """
import json
from django.test import Client
from snapshots.models import WarmComparison
from snapshots.comparison.cache import keep_warm
keep_warm()
rows = dict(WarmComparison.objects.values_list("period", "stamp"))
client = Client(HTTP_HOST="localhost")
told = [client.get("/api/analytics/comparison", {"period": period}).json() for period in "DWMQY"]
print(json.dumps({"rows": sorted(rows), "nodes": [one["nodes"]["total"]["current"] for one in told]}))
"""


def test_none_fails_and_the_last_number_is_told(home):
    together = [home.start("shell", "-v", "0", "-c", CHANGE_AND_KEEP) for _ in range(4)]
    for process in together:
        done = home.finish(process)
        assert done.code == 0, done.err
    last = home.manage("shell", "-v", "0", "-c", KEEP_AND_ASK)
    assert last.code == 0, last.err
    assert json.loads(last.out.splitlines()[-1]) == {"rows": ["D", "M", "Q", "W", "Y"], "nodes": [29] * 5}
