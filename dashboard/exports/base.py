"""Stream files, complete at any size.

Rows are read in short transactions by key, so a slow reader holds nothing in the database. A few downloads run at
a time.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Collection
from contextlib import ExitStack
from datetime import date
from typing import Any, ClassVar

import structlog
from django.db import DatabaseError, InterfaceError
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.exports.csv_cells import Chunks, csv_lines
from dashboard.panels.payments.filters import OWN
from fluxtracker import database
from fluxtracker.api.conditional import unless_known
from fluxtracker.api.fields import Query
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.throttling import Places
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from fluxtracker.database import database_words
from fluxtracker.formatting import printable
from fluxtracker.web.middleware import give_back_after
from revenue.models import DailyTotal, Payment
from revenue.selectors import ledger_stamp

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 3  # over all web processes
LONGEST_S = 600.0  # of one download, however slow its reader is
LEFT_S = 60.0  # after its end a place that was not given back is free all the same
Values = dict[str, Any]
LastLine = Callable[[str], bytes]
places = Places("exports", MOST_AT_ONCE, LONGEST_S + LEFT_S)


class Busy(APIException):
    """Answer 503 with Retry-After."""

    status_code = 503
    default_detail = f"{MOST_AT_ONCE} exports are under way, no more run at once; try again in a minute"
    wait = 60


def download(chunks: Chunks, last_line: LastLine) -> Chunks:
    """Return the chunks, the first of them read at once: what goes wrong by then is an ordinary error."""
    place = places.take()
    if place is None:
        raise Busy
    found = _guarded(chunks, last_line, place)
    next(found)
    return found


def _guarded(chunks: Chunks, last_line: LastLine, place: int) -> Chunks:
    """Yield nothing once the first chunk is read, then all chunks; free the place at the end or when closed.

    A download that breaks off ends with `INCOMPLETE: ...` in the words of `last_line` and a broken connection.
    """
    until, why = time.monotonic() + LONGEST_S, ""
    with ExitStack() as taken:
        taken.callback(places.give_back, place)
        taken.callback(chunks.close)
        chunk = next(chunks, None)
        yield b""
        try:
            while chunk is not None and not why:
                if time.monotonic() > until:
                    log.warning("export_cut_off", error="too slow", seconds=LONGEST_S)
                    why = f"an export may take {LONGEST_S:.0f} s"
                else:
                    yield chunk
                    database.begin()
                    chunk = next(chunks, None)
        except (DatabaseError, InterfaceError) as error:
            log.warning("export_cut_off", error=database_words(error))
            why = "the database did not answer"
    if why:
        yield last_line(f"INCOMPLETE: {why}; ask for fewer days at a time")
        raise BrokenPipeError(errno.EPIPE, "the export was cut off")  # servers take it for an ordinary end


class ExportSchema(AutoSchema):
    """Describes a download by what it declares. Pages are left out of the query, as in the file."""

    view: Export  # type: ignore[override]

    def get_operation_id(self) -> str:
        return self.view.operation

    def get_tags(self) -> list[str]:
        return ["export"]

    def get_override_parameters(self) -> list[Any]:
        query = self.view.query
        return [type(f"{query.__name__}Export", (query,), {"page": None, "limit": None})]

    def get_response_serializers(self) -> Any:
        words = "The file. One that is not whole ends with a line `INCOMPLETE: ...` and a broken connection."
        media_type = self.view.content_type.partition(";")[0]
        return {(200, media_type): OpenApiResponse(OpenApiTypes.STR, words), 400: BAD_QUERY, **ERRORS}


class Export(PublicView):
    """A list as a file: the same query keys as its page and its endpoint, without pages."""

    operation: ClassVar[str]
    subject: ClassVar[str]
    suffix: ClassVar[str] = "csv"
    content_type: ClassVar[str] = "text/csv; charset=utf-8; header=present"
    query: ClassVar[type[Query]]
    ignored: ClassVar[Collection[str]] = OWN
    """Further keys that the page's address may have."""
    schema = ExportSchema()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the renderer of errors: the address decides the format of the file."""
        return JSONRenderer(), JSONRenderer.media_type

    @classmethod
    def known_keys(cls) -> None:
        """Keep none in the cache: a download is made for each reader."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """400 for a key that neither the file nor its page has: a filter with a wrong name would be none."""
        super().initial(request, *args, **kwargs)
        fields = self.query().fields
        if unknown := [key for key in request.query_params if key not in {*fields, *self.ignored, "format"}]:
            words = f"unknown; expected one of {', '.join(fields)}"
            raise ValidationError({printable(key)[:50]: [words] for key in unknown[:3]})

    def etag(self) -> object:
        return ledger_stamp(), timezone.now().date()

    def get(self, request: Request) -> HttpResponseBase:
        return unless_known(request, self.etag(), lambda: self.file(request))

    def file(self, request: Request) -> HttpResponseBase:
        """Return the file; 400 for a wrong filter. A field that was left empty is none; pages are left out."""
        given = {key: value for key, value in request.query_params.items() if value and key not in ("page", "limit")}
        values = self.query.read(given)
        return self.stream(request, self.chunks(values), *self.days(values, timezone.now().date()))

    def chunks(self, values: Values) -> Chunks:
        """Yield the parts of the file."""
        raise NotImplementedError

    def days(self, values: Values, today: date) -> tuple[date, date]:
        """Return the days that the file is about."""
        last = min(values.get("to") or today, today)
        return values.get("from") or self.first_day() or last, last

    def first_day(self) -> date | None:
        """Return where the file begins, unless it is asked for less."""
        return DailyTotal.objects.first_day()

    def stream(self, request: Request, chunks: Chunks, first: date, last: date) -> StreamingHttpResponse:
        """Return the answer that a download is; HEAD reads nothing and takes no place."""
        name = f"fluxtracker-{self.subject}-{first}-to-{last}.{self.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if request.method == "HEAD":
            return StreamingHttpResponse((), content_type=self.content_type, headers=headers)
        found = download(chunks, self.last_line)
        give_back_after(request._request, found.close)
        return StreamingHttpResponse(found, content_type=self.content_type, headers=headers)

    def last_line(self, words: str) -> bytes:
        """Return the line that ends a file which is not whole."""
        return csv_lines([[words]])


class KeptExport(Export):
    """Without days: of the payments that are not pruned."""

    def first_day(self) -> date | None:
        return Payment.objects.order_by("paid_at", "id").values_list("day", flat=True).first()
