"""What apps register is imported at the first use, once, from any thread."""

from __future__ import annotations

import subprocess
import sys

from tests.settings_names import ROOT

PROGRAM = """
import sys, threading
import django
django.setup()
print("revenue.jobs" in sys.modules, "revenue.alert_rules" in sys.modules)
from ops import registry
found = []
threads = [threading.Thread(target=lambda: found.append((list(registry.jobs()), len(list(registry.alert_rule))))) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(found), len({str(one) for one in found}), {"revenue-sync", "backup"} <= registry.jobs().keys(), found[0][1] > 5)
"""  # noqa: E501


def test_what_apps_register_is_imported_at_the_first_use_and_whole_for_every_thread() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False False", "8 1 True True"]
