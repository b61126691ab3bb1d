"""What is wrong, in sentences, from what `/api/health` reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ops.runs import ALERT_AFTER

Report = dict[str, Any]

TOLD_BY_PARTS = (  # what an alert is about, before its first colon: a part of the report says it as it is now
    "task", "service", "source", "sync-lag", "unproved", "snapshot", "schedule",
)  # fmt: skip
READ_AGAIN = "The chain could not be read at the last try; it is tried again by itself."


def sentences(answer: Report) -> Iterator[str]:
    """One for each thing that is wrong. Without a database only that can be told."""
    if answer["db"]["status"] != "ok":
        yield f"{answer['db']['error'].capitalize()}."
        return
    if answer["broker"]["status"] != "ok":
        words = answer["broker"]["error"]
        yield f"{words[0].upper()}{words[1:]}: no task is started."
    if answer["worker"]["status"] != "ok":
        yield "No worker has been seen for over a minute: nothing is read from the chain."
    if answer["schedule"]["reason"]:
        yield answer["schedule"]["reason"]
    yield from _of_sync(answer["sync"])
    yield from _of_snapshot(answer["snapshot"])
    services = answer["services"] | ({"backup": answer["backup"]} if answer["backup"] else {})
    for name, service in services.items():
        if service["status"] == "failed":
            words = name.replace("_", " ")
            yield f"{words.capitalize()} failed {service['consecutiveFailures']} times in a row: {service['error']}"
    yield from (alert["message"] for alert in answer["alerts"] if alert["key"].partition(":")[0] not in TOLD_BY_PARTS)


def payments_missing(reason: str) -> str:
    """Return what an unhealthy sync means, at every door."""
    return f"Payments may be missing: {reason}."


def _of_sync(sync: Report) -> Iterator[str]:
    if not sync["healthy"]:
        yield payments_missing(sync["reason"])
    if 0 < sync["consecutiveFailures"] < ALERT_AFTER:
        yield READ_AGAIN
    for failed in sync["failedSources"] or ():
        yield f"A source of the chain failed, and another one was used instead: {failed}."


def _of_snapshot(snapshot: Report) -> Iterator[str]:
    """Before the first check nothing is late."""
    if snapshot["healthy"] is False:
        yield snapshot["reason"]
