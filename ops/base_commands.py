"""Define base classes of commands: options in, a report out, as text or JSON.

Exit codes: 0 done, 1 failed with a one-line reason on stderr, 2 wrong usage (docs/contract.md#commands).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rest_framework import serializers

from fluxtracker.api.fields import Confirmation, PastDay, Whole
from fluxtracker.database import is_unmigrated
from fluxtracker.formatting import printable
from fluxtracker.upstream.http.errors import UpstreamError
from ops import audit_log
from ops.jobs.runs import NotDone, one_line, report_of
from ops.leases import LeaseHeld, LeaseLost
from ops.registry import Field, JobType

LEASE_WAIT_S = 30.0


def read_by(field: Field) -> Callable[[str], Any]:
    """Return an argparse type that accepts the API field's values, else raises a usage error."""

    def parse(value: str) -> Any:
        try:
            return field.run_validation(value)
        except serializers.ValidationError as error:
            raise argparse.ArgumentTypeError("; ".join(map(str, error.detail))) from None

    return parse


class ReportCommand(BaseCommand):
    """Runs `work(options)` and prints its report, as one JSON object with --json."""

    requires_system_checks = ()
    _progress_shown = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the report as one JSON object")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do the work and return the report."""
        raise NotImplementedError

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any] | None:
        """Return the audit log's detail once done, None for no entry."""
        return None

    def handle(self, *args: Any, **options: Any) -> None:
        report = self._done(options)
        self._audit(options, report)
        self.end_progress()
        if options["json"]:
            self.stdout.write(json.dumps(report))
        else:
            self.stdout.write(self.as_text(report))

    def as_text(self, report: dict[str, Any]) -> str:
        """Return the report as text."""
        return _lines(report)

    def _done(self, options: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.work(options)
        except (UpstreamError, LeaseHeld, LeaseLost, NotDone) as error:
            raise self._failed(one_line(error), error, options) from error
        except DatabaseError as error:
            hint = " (has `manage.py migrate` been run?)" if is_unmigrated(error) else ""
            raise self._failed(f"database: {one_line(error)}{hint}", error, options) from error
        except CommandError as error:
            raise error if error.returncode == 2 else self._failed(str(error), error, options) from error

    def _failed(self, words: str, error: Exception, options: dict[str, Any]) -> CommandError:
        """Return the error; with --json, first print the report so far with its key `error`."""
        if options["json"]:
            self.stdout.write(json.dumps(report_of(error) | {"error": words}))
        return CommandError(words)

    def _audit(self, options: dict[str, Any], report: dict[str, Any]) -> None:
        detail = self.audit_detail(options, report)
        if detail is not None:
            name = type(self).__module__.rpartition(".")[2]
            audit_log.record_if_possible(
                actor="command", address=None, action=name, outcome=audit_log.DONE, detail=detail
            )

    def progress(self, words: str) -> None:
        """Rewrite one line on a terminal; print nothing elsewhere."""
        if sys.stderr.isatty():
            self._progress_shown = True
            sys.stderr.write(f"\r\x1b[2K{words}")
            sys.stderr.flush()

    def end_progress(self) -> None:
        if self._progress_shown:
            sys.stderr.write("\n")

    def usage_error(self, message: str) -> CommandError:
        """Return a usage error that argparse cannot detect, with exit code 2."""
        return CommandError(message, returncode=2)


class JobCommand(ReportCommand):
    """Runs a job. Its parameters are the options."""

    job: ClassVar[JobType]
    cut: ClassVar[bool] = False
    """Whether numbers above the maximum count as the maximum."""
    audited: ClassVar[Sequence[str] | None] = None
    """Keys of the report that go into the audit log; None: nothing does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.help = self.job.help

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for name, field in self.job.params.items():
            if isinstance(field, Confirmation):
                parser.add_argument("--yes", action="store_true", help="required: confirm")
            else:
                option = "--" + "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
                parser.add_argument(option, dest=self.job.keywords.get(name, name), **self._argument(field))

    def _argument(self, field: Field) -> dict[str, Any]:
        """Return the argparse options of a job's parameter."""
        if isinstance(field, serializers.BooleanField):
            return {"action": "store_true", "help": field.help_text}
        if isinstance(field, PastDay):
            return {"type": read_by(field), "metavar": "DAY", "help": field.help_text}
        assert isinstance(field, Whole)  # noqa: S101  no job has other parameters
        number = field if self.cut else Whole(maximum=field.maximum or field.cut_to)
        help_text = f"{field.help_text} Default: {field.default}."
        return {"type": read_by(number), "default": field.default, "help": help_text}

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        for field in self.job.params.values():
            if isinstance(field, Confirmation) and not options["yes"]:
                raise self.usage_error(f"{field.why}; say --yes if that is what you want")
        chosen = {name: options[name] for name in self.job.takes}
        return self.job(trigger="command", wait=LEASE_WAIT_S, progress=self.progress, **chosen)

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any] | None:
        return None if self.audited is None else {key: report[key] for key in self.audited}


def _lines(report: dict[str, Any]) -> str:
    """Return the report as text: single values on one line, then a line for each row of a list."""
    single = {key: value for key, value in report.items() if not _is_rows(value)}
    rows = [row for value in report.values() if _is_rows(value) for row in value]
    return "\n".join([", ".join(f"{key} {_plain(value)}" for key, value in single.items()), *map(_plain, rows)]).strip()


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _plain(value: Any) -> str:
    """Return a value as text, `-` if unknown or empty."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(part)}" for key, part in value.items()) or "-"
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "-"
    return "-" if value is None or value == "" else printable(str(value))
