"""Define query parameters, shared answer shapes and pages of a list."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from fluxtracker.money import SAT
from fluxtracker.timestamps import parse_day

NUMBER = re.compile(r"([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})(e[-+]?[0-9]{1,3})?", re.ASCII | re.IGNORECASE)
LONGEST_NUMBER = 100  # digits
MOST_PAGES = 10**15


def read(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return the query's values, checked; a 400 names every wrong one. Unknown keys are ignored."""
    form = serializer(data={key: request.query_params[key] for key in request.query_params})
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)


class Whole(serializers.IntegerField):
    """A whole number from 1. Above `cut_to` it is cut, above `maximum` it is refused."""

    def __init__(self, *, cut_to: int | None = None, maximum: int | None = None, **kwargs: Any) -> None:
        self.cut_to, self.maximum = cut_to, maximum
        super().__init__(min_value=1, max_value=maximum, **kwargs)
        self.error_messages["null"] = self._expected

    def to_internal_value(self, data: Any) -> int:
        text = str(data).strip()
        if not re.fullmatch(rf"[0-9]{{1,{LONGEST_NUMBER}}}", text, re.ASCII) or int(text) < 1:
            self._refuse()
        number = int(text)
        if self.maximum is not None and number > self.maximum:
            self._refuse()
        return number if self.cut_to is None else min(number, self.cut_to)

    def _refuse(self) -> None:
        raise serializers.ValidationError(self._expected)

    @property
    def _expected(self) -> str:
        end = f" to {self.maximum}" if self.maximum else ""
        cut = f" (above {self.cut_to} counts as {self.cut_to})" if self.cut_to else ""
        return f"expected a whole number from 1{end}{cut}"


class Seconds(serializers.FloatField):
    """Seconds from 0 to `longest`, as a JSON number or in digits."""

    def __init__(self, *, longest: int, **kwargs: Any) -> None:
        self.longest, self.expected = longest, f"expected seconds from 0 to {longest}"
        kinds = ("required", "null", "invalid", "min_value", "max_value")
        super().__init__(min_value=0, max_value=longest, error_messages=dict.fromkeys(kinds, self.expected), **kwargs)

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, str) and NUMBER.fullmatch(data.strip()):
            data = float(data)
        is_number = isinstance(data, int | float) and not isinstance(data, bool)
        if not is_number or not 0 <= data <= self.longest:  # NaN is neither above nor below
            raise serializers.ValidationError(self.expected)
        return float(data)


class TrueOrFalse(serializers.BooleanField):
    """A switch in a body."""

    def __init__(self, **kwargs: Any) -> None:
        kinds = ("required", "null", "invalid")
        super().__init__(error_messages=dict.fromkeys(kinds, "expected true or false"), **kwargs)


class OneOf(serializers.ChoiceField):
    """One of some words; the error lists them."""

    def __init__(self, words: Sequence[str], **kwargs: Any) -> None:
        kinds = ("null", "blank", "invalid_choice")
        expected = f"expected one of {', '.join(words)}"
        super().__init__(list(words), error_messages=dict.fromkeys(kinds, expected), **kwargs)


class Day(serializers.DateField):
    """A UTC day."""

    def to_internal_value(self, value: Any) -> date:
        found = parse_day(str(value).strip())
        if found is None:
            raise serializers.ValidationError("expected a day as YYYY-MM-DD")
        return found


class PastDay(Day):
    """A UTC day up to today; not required."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, error_messages={"null": "expected a day as YYYY-MM-DD"}, **kwargs)

    def to_internal_value(self, value: Any) -> date:
        found = super().to_internal_value(value)
        if found > timezone.now().date():
            raise serializers.ValidationError("must not be in the future")
        return found


class Confirmation(serializers.CharField):
    """The word without which nothing happens."""

    def __init__(self, word: str, why: str, **kwargs: Any) -> None:
        self.word, self.why, self.expected = word, why, f'expected "{word}": {why}'
        kinds = ("required", "null", "blank", "invalid")
        super().__init__(trim_whitespace=False, error_messages=dict.fromkeys(kinds, self.expected), **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if super().to_internal_value(data) != self.word:
            raise serializers.ValidationError(self.expected)
        return self.word


class Flux(serializers.DecimalField):
    """An amount of FLUX with at most 8 decimals, read as integer satoshi."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=17, decimal_places=8, min_value=Decimal(0), coerce_to_string=False, **kwargs)

    def to_internal_value(self, data: Any) -> int:  # type: ignore[override]
        sat = satoshi(str(data).strip())
        if sat is None:
            raise serializers.ValidationError("expected an amount of FLUX such as 25.93, with at most 8 decimals")
        return sat


class Words(serializers.CharField):
    """Free text; empty counts as not given."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_blank=True, max_length=kwargs.pop("max_length", 128), **kwargs)


class PageQuery(serializers.Serializer[Any]):
    """Which page of a list."""

    page = Whole(default=1, maximum=MOST_PAGES, help_text="Counted from 1; a page past the end is empty.")
    limit = Whole(default=50, cut_to=1000, help_text="Rows a page; more than 1000 counts as 1000.")


def satoshi(text: str) -> int | None:
    """Satoshi of an amount written in FLUX; None when it is none, or finer than a satoshi."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,20})?|\.[0-9]{1,20}", text, re.ASCII):
        return None
    try:
        sat = Decimal(text) * SAT
    except InvalidOperation:
        return None
    return int(sat) if sat == sat.to_integral_value() else None


def require_order(values: Mapping[str, Any], first: str, last: str) -> None:
    """400 when the range ends before it begins."""
    if values.get(first) and values.get(last) and values[first] > values[last]:
        raise serializers.ValidationError({first: [f"must not be after `{last}`"]})


class DaysForm(serializers.Serializer[Any]):
    """Takes a range of days. A misspelt key is refused: without it the range would be wider."""

    NOT_OURS = ("wait", "csrfmiddlewaretoken")

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        unknown = [key for key in self.initial_data if key not in self.fields and key not in self.NOT_OURS]
        if unknown:
            raise serializers.ValidationError(
                {key: [f"unknown; there are {', '.join(self.fields)}"] for key in unknown}
            )
        require_order(values, "from", "to")
        return values


class ErrorAnswer(serializers.Serializer[Any]):
    """What every error says."""

    error = serializers.CharField(help_text="What is wrong and what is allowed.")
    fields = serializers.DictField(  # type: ignore[assignment]  # the wire name
        child=serializers.CharField(), required=False, help_text="The same by query key."
    )


class PageAnswer(serializers.Serializer[Any]):
    """What every page says besides its rows."""

    total = serializers.IntegerField(min_value=0, help_text="Every matching row, whatever the page.")
    page = serializers.IntegerField(min_value=1)
    limit = serializers.IntegerField(min_value=1)
    totalPages = serializers.IntegerField(min_value=0)


def page_of(key: str, rows: list[dict[str, Any]], *, total: int, page: int, limit: int) -> dict[str, Any]:
    """Return the answer for one page. `total` counts every matching row, whatever the page."""
    return {key: rows, "total": total, "page": page, "limit": limit, "totalPages": -(-total // limit)}
