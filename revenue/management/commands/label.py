from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from fluxtracker.api.fields import Day
from ops.base_commands import ReportCommand, read_by
from ops.registry import changed
from revenue import labels
from revenue.models import Label

SUBJECT = re.compile(r"[0-9A-Za-z]{4,64}", re.ASCII)


class Command(ReportCommand):
    help = "Label a sender or an owner, and split its payments again."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("subject", metavar="ADDRESS|OWNER")
        parser.add_argument("category", nargs="?", metavar="CLASS", choices=Label.Category.values, help="%(choices)s")
        parser.add_argument("words", nargs="*", metavar="WORDS", help="display name")
        parser.add_argument("--from", dest="first", type=read_by(Day()), metavar="DAY", help="first UTC day")
        parser.add_argument("--to", dest="last", type=read_by(Day()), metavar="DAY", help="last UTC day")
        parser.add_argument("--source", default="", help="source of this label")
        parser.add_argument("--remove", action="store_true", help="delete labels; with --from only that one")

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        subject, first, last = options["subject"], options["first"], options["last"]
        if not SUBJECT.fullmatch(subject):
            raise self.usage_error("expected an address or an owner: 4 to 64 letters and digits")
        if options["remove"]:
            done = labels.remove(subject, first=first)
        else:
            done = labels.put(subject, valid_from=first, valid_to=last, **self._label_values(options))
        changed()
        return {"subject": subject, **asdict(done)}

    def _label_values(self, options: dict[str, Any]) -> dict[str, str]:
        words, first, last = " ".join(options["words"]), options["first"], options["last"]
        if not options["category"] or not words:
            raise self.usage_error("expected a class and a name")
        if len(words) > 100 or len(options["source"]) > 200:
            raise self.usage_error("expected at most 100 characters, and 200 as --source")
        if first and last and first > last:
            raise self.usage_error("--from must not be after --to")
        return {"category": options["category"], "words": words, "source": options["source"]}

    def audit_detail(self, options: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
        return {"subject": report["subject"], "class": options["category"] or "", "remove": options["remove"]}
