"""Small programs for the supervisor's tests."""

from __future__ import annotations

from fluxtracker.supervisor.processes import PYTHON, Program

PATIENT = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + PATIENT
POLITE = (
    "import signal, sys, time; "
    "signal.signal(signal.SIGTERM, lambda *_: (time.sleep({}), print('bye'), sys.exit())); " + PATIENT
)


def program(name: str, code: str, **options: object) -> Program:
    return Program(name, (PYTHON, "-c", code), **options)  # type: ignore[arg-type]
