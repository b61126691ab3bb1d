"""Serve the files of completed months, and the list of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from django.http import Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response, patch_cache_control
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from dashboard.exports import base
from dashboard.exports.csv_cells import Chunks
from dashboard.open_data import publishing
from dashboard.open_data.publishing import MEDIA_TYPES, File, Month
from fluxtracker.api.fields import Answer, ErrorAnswer
from fluxtracker.api.negotiation import JSONRenderer
from fluxtracker.api.views import ERRORS, PublicView, ReadView
from fluxtracker.web.middleware import give_back_after

CHUNK = 2**16  # bytes
MAX_AGE_S = 3600  # a month changes rarely, by an audit, a price or a name
OTHERS = {publishing.SUMS: "text/plain; charset=utf-8", publishing.DICTIONARY: "application/json"}
NOT_FOUND = OpenApiResponse(ErrorAnswer, "No such month or file.")


class FileAnswer(Answer):
    name = serializers.CharField()
    url = serializers.CharField(help_text="Path of the file.")
    bytes = serializers.IntegerField(source="size")
    sha256 = serializers.CharField()
    rows = serializers.IntegerField(allow_null=True, help_text="null: not a table.")


class MonthAnswer(Answer):
    month = serializers.CharField(source="key", help_text="As 2026-10.")
    madeAt = serializers.DateTimeField(source="made_at")  # noqa: N815  the wire name
    files = FileAnswer(many=True)


class FilesAnswer(Answer):
    licence = serializers.CharField(help_text="SPDX name of the licence of all files.")
    months = MonthAnswer(many=True)


def _part(name: str, pattern: str, words: str = "") -> OpenApiParameter:
    """Describe a part of the path."""
    return OpenApiParameter(
        name, {"type": "string", "pattern": f"^{pattern}$"}, OpenApiParameter.PATH, description=words
    )


def listed() -> list[dict[str, Any]]:
    """Return the published months with the URLs of their files, newest first."""
    return [
        {
            "key": month.key,
            "made_at": datetime.fromisoformat(month.made_at),
            "files": [
                {"url": reverse("dashboard:file", args=[month.key, file.name]), "file": file}
                | {name: getattr(file, name) for name in ("name", "size", "sha256", "rows")}
                for file in month.files.values()
            ],
        }
        for month in publishing.published().values()
    ]


class IndexView(ReadView):
    """The files of completed months: payments, revenue by day and snapshots, as CSV and Parquet."""

    operation, tag, answer = "files", "export", FilesAnswer
    max_age = 300

    def etag(self, now: datetime) -> object:
        return [(month.key, month.folder) for month in publishing.published().values()]

    def read(self, values: dict[str, Any], now: datetime) -> Any:
        return {"licence": publishing.LICENCE["name"], "months": listed()}


class FileView(PublicView):
    """One file of a month."""

    name = "File of a month"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        """Return the renderer for errors; the URL decides the file format."""
        return JSONRenderer(), JSONRenderer.media_type

    @classmethod
    def known_keys(cls) -> None:
        """Accept any query. Files are always served from disk."""

    @extend_schema(
        operation_id="file",
        parameters=[_part("month", "[0-9]{4}-[0-9]{2}", "As 2026-10."), _part("name", "[A-Za-z][A-Za-z0-9.]{2,40}")],
        tags=["export"],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 404: NOT_FOUND, **ERRORS},
    )
    def get(self, request: Request, month: str, name: str) -> HttpResponseBase:
        published = publishing.published().get(month)
        file = published.files.get(name) if published else None
        if published is None or file is None:
            raise Http404(f"no file {month}/{name}; /data/files/ lists them")
        etag = f'"{file.sha256}"'
        response = get_conditional_response(request._request, etag=etag) or _stream(request, published, file)
        response["ETag"] = etag
        patch_cache_control(response, public=True, max_age=MAX_AGE_S)
        return response


def _stream(request: Request, month: Month, file: File) -> HttpResponseBase:
    form = Path(file.name).suffix[1:]
    headers = {
        "Content-Length": str(file.size),
        "Content-Disposition": f'attachment; filename="fluxtracker-{month.key}-{file.name}"',
    }
    media_type = OTHERS.get(file.name) or MEDIA_TYPES[form]
    if request.method == "HEAD":
        return StreamingHttpResponse((), content_type=media_type, headers=headers)
    chunks = base.download(request, _chunks(publishing.folder() / month.folder / file.name), lambda words: b"")
    give_back_after(request._request, chunks.close)
    return StreamingHttpResponse(chunks, content_type=media_type, headers=headers)


def _chunks(path: Path) -> Chunks:
    """Yield the file, which stays readable even if it is replaced meanwhile."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
