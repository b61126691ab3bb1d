"""Share code of all admin pages. Rows written by a sync or a task cannot be edited."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from fluxtracker import formatting

UNKNOWN = "—"

if TYPE_CHECKING:
    AnyModelAdmin = admin.ModelAdmin[Any]
    AnyPaginator = Paginator[Any]
else:  # both are generic in the type stubs only
    AnyModelAdmin, AnyPaginator = admin.ModelAdmin, Paginator


class ReadOnlyAdmin(AnyModelAdmin):
    """Read-only rows: no add, no change, no delete."""

    actions: Any = None
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def _refuse(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    has_add_permission = has_change_permission = has_delete_permission = _refuse


class CappedPaginator(AnyPaginator):
    """Paginates a large table: counts at most `cap` rows, and finds a page's keys before reading rows.

    A deep page then walks only an index, not the skipped rows.
    """

    cap = 10_000

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.cap)

    @property
    def capped(self) -> bool:
        """Return whether there are more rows than `count`."""
        return self._counted > self.cap

    @cached_property
    def _counted(self) -> int:
        return self._rows.order_by()[: self.cap + 1].count()

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        bottom = (number - 1) * self.per_page
        top = min(bottom + self.per_page, self.count)
        keys = list(self._candidates().values_list("pk", flat=True)[bottom:top]) if self.count else []
        return Page(self._rows.filter(pk__in=keys), number, self)

    def _candidates(self) -> QuerySet[Any]:
        """Gather few rows by the filter's index before sorting, as they may be far apart in the order."""
        rows = self._rows
        if self.capped or not rows.query.where:
            return rows
        return rows.filter(pk__in=list(rows.order_by().values_list("pk", flat=True)[: self.cap]))

    @property
    def _rows(self) -> QuerySet[Any]:
        return cast("QuerySet[Any]", self.object_list)


class LargeChangeList(ChangeList):
    """Takes rows from the paginator even if they fit on one page, and orders like an index."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the selected column and the id in one direction, as indexes of large tables end with the id."""
        ordering = super().get_ordering(request, queryset)
        if ORDER_VAR not in self.params:
            return ordering
        column = str(ordering[0])
        return [column, "-pk" if column.startswith("-") else "pk"]

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.multi_page:
            self.result_list = self.paginator.page(1).object_list


class LargeTableAdmin(ReadOnlyAdmin):
    """Admin of tables that grow without limit."""

    paginator = CappedPaginator
    list_max_show_all = 0

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LargeChangeList


def column(description: str, read: Callable[[Any], object], **options: Any) -> Callable[[Any, Any], object]:
    """Return a list column or page field with the value that `read` returns for the row; None shows as unknown."""

    def shown(page: Any, row: Any) -> object:
        value = read(row)
        return UNKNOWN if value is None else value

    show: Callable[[Any, Any], object] = admin.display(description=description, **options)(shown)
    return show


def link(row: Model, words: object = None) -> SafeString:
    """Return a link to the row's own admin page."""
    meta = row._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', url, row if words is None else words)


def list_link(model: type[Model], words: object, **where: object) -> SafeString:
    """Return a link to the rows of a model matching a lookup."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist", query=where)
    return format_html('<a href="{}">{}</a>', url, words)


def readable(data: object) -> SafeString | None:
    """Return JSON as nested lists of labels and values, None if there is none."""
    return None if data is None else _shown(data)


def _shown(data: object) -> SafeString:
    if isinstance(data, dict) and data:
        rows = ((_label(key), _shown(value)) for key, value in data.items())
        return format_html(
            '<dl class="values">{}</dl>', format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", rows)
        )
    if isinstance(data, list) and any(isinstance(item, (dict, list)) for item in data):
        return format_html("<ol>{}</ol>", format_html_join("", "<li>{}</li>", ((_shown(item),) for item in data)))
    if isinstance(data, list):
        return format_html("{}", ", ".join(map(str, data)) or "none")
    if isinstance(data, bool):
        return format_html("{}", "yes" if data else "no")
    if isinstance(data, int):
        return format_html("{}", formatting.whole(data))
    return format_html("{}", UNKNOWN if data is None else "none" if data == {} else data)


def _label(key: object) -> str:
    """Return a JSON key as a label: `last sync block` for `lastSyncBlock` and `last_sync_block`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", str(key)).replace("_", " ").lower()


def user_of(request: HttpRequest) -> User:
    """Return the signed-in user, which the admin requires."""
    return cast("User", request.user)
