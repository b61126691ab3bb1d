"""Forms of the admin: patterns are written one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from metrics.models import RESERVED_KEYS, Category, TrackedApp

if TYPE_CHECKING:
    AppModelForm = forms.ModelForm[TrackedApp]
    CategoryModelForm = forms.ModelForm[Category]
else:  # generic in the type stubs only
    AppModelForm = CategoryModelForm = forms.ModelForm


PATTERNS = ("image_patterns", "name_patterns")


class Lines(forms.CharField):
    """A list of short texts, one a line."""

    widget = forms.Textarea(attrs={"rows": 6, "cols": 60})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return list(dict.fromkeys(filter(None, map(str.strip, str(value or "").splitlines()))))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(self.prepare_value(initial)) != self.to_python(data))


class TrackedAppForm(AppModelForm):
    image_patterns = Lines(required=False, help_text="Parts of an image, one a line, such as itzg/minecraft-server.")
    name_patterns = Lines(
        required=False,
        help_text="App names for images that are not public, one a line: `palworld` is palworld and 13 or more "
        "digits, `presearchnode*` every name that begins so.",
    )

    class Meta:
        model = TrackedApp
        fields = ("name", "key", "category", "image_patterns", "name_patterns", "active")

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if key in RESERVED_KEYS:
            raise forms.ValidationError(f"{', '.join(RESERVED_KEYS)} are names of totals; choose another key")
        return key

    def clean(self) -> dict[str, Any]:
        """An app that nothing can match would be counted as 0 for ever."""
        given: dict[str, Any] = super().clean() or {}
        if not self.errors and given["active"] and not any(given[name] for name in PATTERNS):
            raise forms.ValidationError("an active app needs at least one pattern, of images or of app names")
        return given


class CategoryForm(CategoryModelForm):
    image_keywords = Lines(required=False, help_text="Parts of an image, one a line.")
    name_patterns = Lines(required=False, help_text="App names for images that are not public, one a line.")

    class Meta:
        model = Category
        fields = ("image_keywords", "name_patterns")
