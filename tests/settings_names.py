"""Read the names of all settings from the code."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READERS = ("fluxtracker/settings.py", "fluxtracker/env.py", "fluxtracker/supervisor/main.py")
READ = re.compile(r"""(?:env\.\w+|passwords|wrong)\([^)]*?\)""")
NAME = re.compile(r'"([A-Z][A-Z0-9_]{3,})"')


@cache
def setting_names() -> set[str]:
    found = {"REVENUE_ADDRESSES"}
    for path in READERS:
        for call in READ.findall((ROOT / path).read_text()):
            found.update(NAME.findall(call))
    return found
