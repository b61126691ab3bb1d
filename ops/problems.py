"""What is wrong, in sentences, from what `/api/health` reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Report = dict[str, Any]

TOLD_BY_ALERTS = ("backup", "disk", "quarantine", "ledger-differs")  # of all else the report has a part that says it


def sentences(answer: Report) -> Iterator[str]:
    """One for each thing that is wrong. Without a database only that can be told."""
    if answer["db"]["status"] != "ok":
        yield f"{answer['db']['error'].capitalize()}."
        return
    if answer["broker"]["status"] != "ok":
        yield "The broker does not answer: no task is started."
    if answer["worker"]["status"] != "ok":
        yield "No worker has been seen for over a minute: nothing is read from the chain."
    yield from _of_sync(answer["sync"])
    yield from _of_snapshot(answer["snapshot"])
    services = answer["services"] | ({"backup": answer["backup"]} if answer["backup"] else {})
    for name, service in services.items():
        if service["status"] == "failed":
            words = name.replace("_", " ")
            yield f"{words.capitalize()} failed {service['consecutiveFailures']} times in a row: {service['error']}"
    yield from (alert["message"] for alert in answer["alerts"] if alert["key"] in TOLD_BY_ALERTS)


def _of_sync(sync: Report) -> Iterator[str]:
    if not sync["healthy"]:
        yield f"Payments may be missing: {sync['reason']}."
    for failed in sync["failedSources"] or ():
        yield f"A source of the chain failed, and another one was used instead: {failed}."


def _of_snapshot(snapshot: Report) -> Iterator[str]:
    """Before the first check nothing is late."""
    if snapshot["healthy"] is False and snapshot["todaySnapshotExists"]:
        yield "Today's snapshot is taken, but its check is late or keeps failing."
    elif snapshot["healthy"] is False:
        yield "The daily snapshot is late."
