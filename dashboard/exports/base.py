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
from fluxtracker.api.throttling import Places, client_address, client_of
from fluxtracker.api.views import BAD_QUERY, ERRORS, PublicView
from fluxtracker.database import database_words
from fluxtracker.formatting import printable
from fluxtracker.web.middleware import give_back_after
from revenue.models import DailyTotal, Payment
from revenue.selectors import ledger_stamp

log = structlog.get_logger(__name__)

MOST_AT_ONCE = 3  # across all web processes
MOST_OF_CLIENT = 2  # of them, so that one client leaves room for others
LONGEST_S = 600.0  # per download, even for a slow reader
LEFT_S = 60.0  # a slot not given back is free this long after the limit
Values = dict[str, Any]
LastLine = Callable[[str], bytes]
places = Places("exports", MOST_AT_ONCE, LONGEST_S + LEFT_S)


class Busy(APIException):
    """Answer 503 with Retry-After."""

    status_code = 503
    default_detail = f"at most {MOST_AT_ONCE} exports run at once, {MOST_OF_CLIENT} per client; try again in a minute"
    wait = 60


def download(request: Request, chunks: Chunks, last_line: LastLine) -> Chunks:
    """Return the chunks after reading the first, so that early errors are handled normally. Raise Busy."""
    stream = _guarded(chunks, last_line, _take(request))
    next(stream)
    return stream


def _take(request: Request) -> list[int]:
    """Take a slot, and before it one of the client's own. Raise Busy."""
    address, taken = client_address(request), list[int]()
    own = [] if address is None else [places.of_client(client_of(address), MOST_OF_CLIENT)]
    for kind in (*own, places):
        if (place := kind.take()) is None:
            _give_back(taken)
            raise Busy
        taken.append(place)
    return taken


def _give_back(taken: list[int]) -> None:
    for place in taken:
        places.give_back(place)


def _guarded(chunks: Chunks, last_line: LastLine, slots: list[int]) -> Chunks:
    """Yield an empty value once the first chunk is read, then all chunks; free the slots at the end or when closed.

    An interrupted download ends with `INCOMPLETE: ...`, written by `last_line`, and a broken connection.
    """
    until, why = time.monotonic() + LONGEST_S, ""
    with ExitStack() as taken:
        taken.callback(_give_back, slots)
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
        raise BrokenPipeError(errno.EPIPE, "the export was cut off")  # servers treat it as a normal end


class ExportSchema(AutoSchema):
    """Describes a download by its declarations, without page parameters."""

    view: Export  # type: ignore[override]

    def get_operation_id(self) -> str:
        return self.view.operation

    def get_tags(self) -> list[str]:
        return ["export"]

    def get_override_parameters(self) -> list[Any]:
        query = self.view.query
        return [type(f"{query.__name__}Export", (query,), {"page": None, "limit": None})]

    def get_response_serializers(self) -> Any:
        words = "The file. An incomplete one ends with a line `INCOMPLETE: ...` and a broken connection."
        media_type = self.view.content_type.partition(";")[0]
        return {(200, media_type): OpenApiResponse(OpenApiTypes.STR, words), 400: BAD_QUERY, **ERRORS}


class Export(PublicView):
    """A list as a file, with the query keys of its page and endpoint except page parameters."""

    operation: ClassVar[str]
    subject: ClassVar[str]
    suffix: ClassVar[str] = "csv"
    content_type: ClassVar[str] = "text/csv; charset=utf-8; header=present"
    query: ClassVar[type[Query]]
    ignored: ClassVar[Collection[str]] = OWN
    """Further keys allowed in the page's URL."""
    schema = ExportSchema()

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the renderer for errors; the URL decides the file format."""
        return JSONRenderer(), JSONRenderer.media_type

    @classmethod
    def known_keys(cls) -> None:
        """Disable the cache: each download is made for one reader."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Reject keys unknown to file and page with 400, as a misspelled filter would be ignored."""
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
        """Return the file, 400 for a wrong filter. Empty fields and page parameters are ignored."""
        given = {key: value for key, value in request.query_params.items() if value and key not in ("page", "limit")}
        values = self.query.read(given)
        return self.stream(request, self.chunks(values), *self.days(values, timezone.now().date()))

    def chunks(self, values: Values) -> Chunks:
        """Yield the parts of the file."""
        raise NotImplementedError

    def days(self, values: Values, today: date) -> tuple[date, date]:
        """Return the days covered by the file."""
        last = min(values.get("to") or today, today)
        return values.get("from") or self.first_day() or last, last

    def first_day(self) -> date | None:
        """Return the file's default first day."""
        return DailyTotal.objects.first_day()

    def stream(self, request: Request, chunks: Chunks, first: date, last: date) -> StreamingHttpResponse:
        """Return the download's response; HEAD reads nothing and takes no slot."""
        name = f"fluxtracker-{self.subject}-{first}-to-{last}.{self.suffix}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if request.method == "HEAD":
            return StreamingHttpResponse((), content_type=self.content_type, headers=headers)
        body = download(request, chunks, self.last_line)
        give_back_after(request._request, body.close)
        return StreamingHttpResponse(body, content_type=self.content_type, headers=headers)

    def last_line(self, words: str) -> bytes:
        """Return the line that ends an incomplete file."""
        return csv_lines([[words]])


class KeptExport(Export):
    """An export that starts by default with the first payment that is not pruned."""

    def first_day(self) -> date | None:
        return Payment.objects.order_by("paid_at", "id").values_list("day", flat=True).first()
