"""Define query parameters, shared answer shapes and pages of a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar, NoReturn

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from fluxtracker import money
from fluxtracker.periods import Bucket
from fluxtracker.ranges import EARLIEST, EXPECTED, LATEST, MOST_DAYS, Range, WrongRange, read_range
from fluxtracker.timestamps import iso, parse_day, unix_ms, unix_s

NUMBER = re.compile(r"([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})(e[-+]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)
WHOLE = re.compile(r"[0-9]{1,100}", re.ASCII)
AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{0,20})?|\.[0-9]{1,20}", re.ASCII)
MOST_PAGES = 10**15
DEFAULT_DAYS = 30


class Expecting:
    """Rejects every wrong value with one sentence."""

    expected: str

    def fail(self, key: str, **kwargs: Any) -> NoReturn:
        raise serializers.ValidationError(self.expected)


class Whole(Expecting, serializers.IntegerField):
    """A whole number from 1, cut above `cut_to` and refused above `maximum`."""

    def __init__(self, *, cut_to: int | None = None, maximum: int | None = None, **kwargs: Any) -> None:
        self.cut_to, self.maximum = cut_to, maximum
        end = f" to {maximum}" if maximum else ""
        cut = f" (above {cut_to} counts as {cut_to})" if cut_to else ""
        self.expected = f"expected a whole number from 1{end}{cut}"
        super().__init__(min_value=1, max_value=maximum, **kwargs)

    def to_internal_value(self, data: Any) -> int:
        text = str(data).strip()
        number = int(text) if WHOLE.fullmatch(text) else 0
        if number < 1 or (self.maximum is not None and number > self.maximum):
            self.fail("invalid")
        return number if self.cut_to is None else min(number, self.cut_to)


class Seconds(Expecting, serializers.FloatField):
    """Seconds from 0 to `longest`, as a JSON number or as text."""

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        self.longest, self.expected = longest, f"expected seconds from 0 to {longest}"
        super().__init__(min_value=0, max_value=longest, **kwargs)

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, str) and NUMBER.fullmatch(data.strip()):
            data = float(data)
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if not is_number or not 0 <= data <= self.longest:  # NaN is neither above nor below
            self.fail("invalid")
        return float(data)


class TrueOrFalse(Expecting, serializers.BooleanField):
    """A boolean in a body."""

    expected = "expected true or false"


class OneOf(Expecting, serializers.ChoiceField):
    """One of several values; the error lists them."""

    def __init__(self, words: Sequence[str], **kwargs: Any) -> None:
        self.expected = f"expected one of {', '.join(words)}"
        super().__init__(list(words), **kwargs)


class Day(Expecting, serializers.DateField):
    """A UTC day."""

    expected = "expected a day as YYYY-MM-DD"

    def to_internal_value(self, value: Any) -> date:
        return parse_day(str(value).strip()) or self.fail("invalid")


class RangeOfDays(Expecting, serializers.CharField):
    """UTC days in one word, read as a `Range`; not required."""

    expected = EXPECTED

    def __init__(self, instead: str = "the whole ledger") -> None:
        words = "such as `this_month`, `last_7d`, `2026-10` or `2025-01..2026-10`"
        super().__init__(required=False, help_text=f"UTC days {words}; instead of {instead}.")

    def to_internal_value(self, data: Any) -> Any:
        try:
            return read_range(super().to_internal_value(data), timezone.now().date())
        except WrongRange as error:
            raise serializers.ValidationError(str(error)) from error


class CalendarDay(Day):
    """A UTC day whose week, month or year, and its neighbours, exist; not required."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def to_internal_value(self, value: Any) -> date:
        day = super().to_internal_value(value)
        if not EARLIEST <= day <= LATEST:
            raise serializers.ValidationError(f"expected a day between {EARLIEST} and {LATEST}")
        return day


class PastDay(CalendarDay):
    """A UTC day up to today."""

    def to_internal_value(self, value: Any) -> date:
        day = Day.to_internal_value(self, value)
        if day > timezone.now().date():
            raise serializers.ValidationError("must not be in the future")
        return super().to_internal_value(value)


class Confirmation(Expecting, serializers.CharField):
    """The word that confirms an action."""

    def __init__(self, word: str, why: str, **kwargs: Any) -> None:
        self.word, self.why, self.expected = word, why, f'expected "{word}": {why}'
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        return self.word if super().to_internal_value(data) == self.word else self.fail("invalid")


class Flux(Expecting, serializers.DecimalField):
    """An amount of FLUX with at most 8 decimals, read as integer satoshi."""

    expected = "expected an amount of FLUX such as 25.93, with at most 8 decimals"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=17, decimal_places=8, min_value=Decimal(0), coerce_to_string=False, **kwargs)

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        sat = satoshi(str(data).strip())
        return self.fail("invalid") if sat is None else sat


class Words(serializers.CharField):
    """Free text; empty counts as not given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, max_length=kwargs.pop("max_length", 128), **kwargs)


def satoshi(text: str) -> int | None:
    """Return satoshi of an amount in FLUX, None if invalid or finer than a satoshi."""
    sat = Decimal(text) * money.SAT if AMOUNT.fullmatch(text) else None
    return None if sat is None or sat != sat.to_integral_value() else int(sat)


class Query(serializers.Serializer[Any]):
    """Filters of a list, for API, page and exports. Other keys are left to the caller."""

    ends: ClassVar[Sequence[tuple[str, str]]] = ()
    """Pairs of fields of which the first must not be above the second."""

    @classmethod
    def read(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the valid values; a 400 names every wrong one."""
        form = cls(data={key: params[key] for key in params})
        form.is_valid(raise_exception=True)
        return dict(form.validated_data)

    @classmethod
    def read_valid(cls, params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, ErrorDetail]]:
        """Return the valid values, and an error for each other key. No field may be required."""
        left, wrong = {key: params[key] for key in params}, dict[str, ErrorDetail]()
        while not (form := cls(data=left)).is_valid():
            wrong = {key: errors[0] for key, errors in form.errors.items()} | wrong
            alone = {last for first, last in cls.ends if first in form.errors and first not in left}
            left = {key: value for key, value in left.items() if key not in form.errors.keys() | alone}
        return dict(form.validated_data), wrong

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for first, last in self.ends:
            require_order(attrs, first, last)
        return attrs


def with_range(values: Mapping[str, Any], given: Mapping[str, Any], first: str, last: str) -> dict[str, Any]:
    """Return the values with the days of their `range` as `first` and `last`; 400 if `given` has days too."""
    selected: Range | None = values.get("range")
    if selected is None:
        return {**values}
    others = [key for key in dict.fromkeys((first, last, "days")) if key in given]
    if others:
        raise serializers.ValidationError(
            {"range": [f"say either `range` or {', '.join(f'`{key}`' for key in others)}"]}
        )
    return {**values, first: selected.first, last: selected.last}


def require_order(values: Mapping[str, Any], first: str, last: str) -> None:
    """Raise a 400 if the range ends before it begins."""
    if values.get(first) and values.get(last) and values[first] > values[last]:
        raise serializers.ValidationError({first: [ErrorDetail(f"must not be after `{last}`", code="order")]})


class RangeQuery(Query):
    """A range of days; an open end is today."""

    ends = (("start", "end"),)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raise a 400 if the range is reversed or longer than MOST_DAYS."""
        ((first, last),) = self.ends
        begin: date | None = super().validate(attrs).get(first)
        end: date = attrs.get(last) or timezone.now().date()
        if begin is not None and (end - begin).days + 1 > MOST_DAYS:
            raise serializers.ValidationError({first: [f"the range may have at most {MOST_DAYS} days"]})
        return attrs


class DaysQuery(RangeQuery):
    """The UTC days `start` to `end`, always set once validated: by default the last 30."""

    start = Day(required=False, help_text=f"First UTC day, included; by default {DEFAULT_DAYS} days end at `end`.")
    end = Day(required=False, help_text="Last UTC day, included; by default today.")
    range = RangeOfDays("`start` and `end`")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = with_range(attrs, self.initial_data, "start", "end")
        end: date = attrs.get("end") or timezone.now().date()
        begin: date = attrs.get("start") or max(end, EARLIEST + _BACK) - _BACK
        if not begin >= EARLIEST or not end <= LATEST:
            raise serializers.ValidationError({"start": [f"expected days between {EARLIEST} and {LATEST}"]})
        return super().validate({**attrs, "start": begin, "end": end})


_BACK = timedelta(days=DEFAULT_DAYS - 1)


class BucketOf(OneOf):
    """A calendar unit, read as a Bucket."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__([bucket.value for bucket in Bucket], **kwargs)

    def to_internal_value(self, data: Any) -> Bucket:
        return Bucket(super().to_internal_value(data))


class ByQuery(DaysQuery):
    """The same with the span of a row, as a Bucket; `periods.split` returns the rows' days."""

    by = BucketOf(default=Bucket.DAY, help_text="What one row stands for; weeks begin on Monday.")


class PageQuery(Query):
    """Page of a list."""

    page = Whole(default=1, maximum=MOST_PAGES, help_text="Counted from 1; a page past the end is empty.")
    limit = Whole(default=50, cut_to=1000, help_text="Rows a page; more than 1000 counts as 1000.")


class DaysForm(serializers.Serializer[Any]):
    """Takes a range of days. A misspelt key is refused, as ignoring it would widen the range."""

    NOT_OURS = ("wait", "csrfmiddlewaretoken")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        unknown = [key for key in self.initial_data if key not in self.fields and key not in self.NOT_OURS]
        if unknown:
            raise serializers.ValidationError(
                {key: [f"unknown; there are {', '.join(self.fields)}"] for key in unknown}
            )
        require_order(values, "from", "to")
        return values


Write = Callable[[Any], Any]


# Describes an answer and writes it: each field reads its `source` from an object or a dict. It skips DRF's work per
# value: a field without its own `write` is already JSON. (A docstring would be inherited by the description of every
# answer.)
class Answer(serializers.Serializer[Any]):
    @classmethod
    def write(cls, source: Any) -> dict[str, Any]:
        return _compiled(cls)(source)


@cache
def _compiled(answer: type[Answer]) -> Callable[[Any], dict[str, Any]]:
    """Return a function that writes an object or a dict.

    It is generated code, like the methods of dataclasses: a loop over the fields takes four times as long.
    """
    fields = answer().fields
    writers = {f"write_{name}": write for name, field in fields.items() if (write := _writer(field))}

    def code(from_dict: bool) -> str:
        reads = ((name, _read(str(field.source), from_dict)) for name, field in fields.items())
        return ", ".join(
            f"{name!r}: None if (value := {read}) is None else write_{name}(value)"
            if f"write_{name}" in writers
            else f"{name!r}: {read}"
            for name, read in reads
        )

    source = f"lambda source: {{{code(True)}}} if isinstance(source, dict) else {{{code(False)}}}"
    writer: Callable[[Any], dict[str, Any]] = eval(source, writers)  # noqa: S307  our own names
    return writer


def _read(source: str, from_dict: bool) -> str:
    """Return the code that reads one value: `*` is the whole object, a path follows attributes."""
    if source == "*":
        return "source"
    key, dot, path = source.partition(".")
    return f"source[{key!r}]{dot}{path}" if from_dict else f"source.{source}"


def _writer(field: Any) -> Write | None:
    one = _writer(field.child) if hasattr(field, "child") else None
    match field:
        case serializers.DictField() if one:
            return lambda values: {key: None if value is None else one(value) for key, value in values.items()}
        case serializers.ListSerializer() | serializers.ListField() if one:
            return lambda values: [one(value) for value in values]
        case serializers.DateTimeField():
            return iso
        case serializers.DateField():
            return date.isoformat
        case _:
            return getattr(field, "write", None)


class Satoshi(serializers.FloatField):
    """FLUX, from satoshi."""

    write = staticmethod(money.flux)


class MicroDollars(serializers.FloatField):
    """US dollars, from millionths."""

    write = staticmethod(money.usd)


class Price(serializers.FloatField):
    """US dollars, from a decimal."""

    write = float


class UnixTime(serializers.IntegerField):
    """Seconds since 1970, from an instant."""

    write = staticmethod(unix_s)


class UnixTimeMs(serializers.IntegerField):
    """Milliseconds since 1970, from an instant."""

    write = staticmethod(unix_ms)


class OrNull(serializers.CharField):
    """Text; empty is null."""

    @staticmethod
    def write(value: str) -> str | None:
        return value or None


class ErrorAnswer(Answer):
    """Fields of every error."""

    error = serializers.CharField(help_text="What is wrong and what is allowed.")
    fields = serializers.DictField(  # type: ignore[assignment]  # the wire name
        child=serializers.CharField(), required=False, help_text="The same by query key."
    )


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `total` counts all matching rows."""

    rows: Any
    total: int
    page: int
    limit: int

    @classmethod
    def of(cls, rows: QuerySet[Any], values: Mapping[str, Any]) -> Page:
        """Return the page requested by a `PageQuery`. Two queries, one past the end."""
        total, page, limit = rows.count(), values["page"], values["limit"]
        start = (page - 1) * limit
        return cls(rows[start : start + limit] if start < total else [], total, page, limit)

    @property
    def pages(self) -> int:
        return -(-self.total // self.limit)


class PageAnswer(Answer):
    """Fields of every page besides its rows."""

    total = serializers.IntegerField(min_value=0, help_text="Every matching row, whatever the page.")
    page = serializers.IntegerField(min_value=1)
    limit = serializers.IntegerField(min_value=1)
    totalPages = serializers.IntegerField(min_value=0, source="pages")
