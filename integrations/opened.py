"""A form of settings that somebody opened before another person saved: refused, and put together for a second look.

The page carries what its fields held when it was opened. The invariant: a setting that somebody else changed meanwhile
(a flow that was paused, an integration that was taken from live) never goes back by a save that was about another one.
Only what the form itself holds counts: what the engine writes into the same row while it works does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    _Form = forms.ModelForm[Any]
else:
    _Form = forms.ModelForm

OPENED = "opened_with"
"""The hidden input; `templates/admin/change_form.html` writes it."""


class OpenedForm(_Form):
    """See the module's docstring. A post that does not say what it was opened with is refused like one that is old."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Now, because validation writes what was posted into the instance.
        self._now = self._stored(self.instance) if self.instance.pk else {}

    @property
    def opened_with(self) -> str:
        """What the page that shows this form carries."""
        return json.dumps(self._now, ensure_ascii=False) if self.instance.pk else ""

    def values_of(self, row: Any) -> dict[str, Any]:
        """What the form's fields show of `row`."""
        return forms.model_to_dict(row, fields=list(self.fields))

    def clean(self) -> dict[str, Any]:
        """The last look, under a lock."""
        cleaned = super().clean() or self.cleaned_data
        rows = type(self.instance)._base_manager.select_for_update()
        row = rows.filter(pk=self.instance.pk).first() if self.instance.pk else None
        if row is not None:
            self._now = self._stored(row)
            opened = _read(self.data.get(OPENED, ""))
            if opened != self._now:
                self._meet(opened)
        return cleaned

    def _stored(self, row: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(json.dumps(self.values_of(row), cls=DjangoJSONEncoder))
        return found

    def _meet(self, opened: Mapping[str, Any]) -> None:
        """What only they changed is shown as they saved it; what both changed says so by its field."""
        data: Any = dict(self.data.items())
        for name, value in self._now.items() if opened else ():
            if name in opened and opened[name] == value:
                continue
            if not self._posted_differs(name, opened.get(name)):
                data[self.add_prefix(name)] = "" if value is None else str(value)
            elif self._posted_differs(name, value):
                text = _("Somebody else changed this meanwhile. Stored is: %(value)s") % {"value": self._word(name)}
                self.add_error(name, text)
        self.data = data
        text = _("Somebody else changed these settings after you opened this page: look at them and save again.")
        self.add_error(None, text)

    def _posted_differs(self, name: str, value: Any) -> bool:
        field = self.fields[name]
        posted = field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
        try:
            return field.has_changed(field.to_python(value), posted)
        except ValidationError:  # what a page says of itself is not to be trusted
            return True

    def _word(self, name: str) -> str:
        value = self._now[name]
        if isinstance(value, bool):
            return _("yes") if value else _("no")
        choices = dict(getattr(self.fields[name], "choices", ()))
        return str(choices.get(value, value)) if value not in (None, "") else "–"


def _read(raw: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
