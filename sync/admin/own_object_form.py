"""Which field of an object is what: the form of “Invoices from an object of your own”, with guesses by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connector import FieldSchema, FieldType, ObjectSchema
from sync.own_objects import Chosen

Choices = list[tuple[str, str]]
PERCENT, AMOUNT = "percent", "amount"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One place: what it is called, which types fit, and how such fields are called, best guess first."""

    label: str | Promise
    types: frozenset[FieldType]
    guesses: Sequence[str]
    required: bool = False


_TEXT = frozenset({FieldType.STRING, FieldType.ENUM})
_NUMBER = frozenset({FieldType.NUMBER})
_DATE = frozenset({FieldType.DATE})
LINE: Mapping[str, Wanted] = {
    "code": Wanted(
        gettext_lazy("Article number"), _TEXT, ("product.?code", "article", "artikel", "sku", "item.?n"), required=True
    ),
    "text": Wanted(gettext_lazy("Text"), _TEXT, ("^text", "description", "beskrivning", "benämning"), required=True),
    "quantity": Wanted(
        gettext_lazy("Quantity"), _NUMBER, ("quantity", "qty", "antal", "hours", "timmar"), required=True
    ),
    "price": Wanted(gettext_lazy("Unit price"), _NUMBER, ("unit.?price", "price", "pris\\b", "rate"), required=True),
    "discount": Wanted(gettext_lazy("Discount"), _NUMBER, ("discount", "rabatt")),
}
RECORD: Mapping[str, Wanted] = {
    "date": Wanted(
        gettext_lazy("Date"),
        frozenset({FieldType.DATE}),
        ("invoice.?date", "order.?date", "date", "datum"),
        required=True,
    ),
    "currency": Wanted(gettext_lazy("Currency"), _TEXT, ("currency", "valuta")),
    "reference": Wanted(gettext_lazy("Your reference"), _TEXT, ("your.?ref", "reference", "referens", "märkning")),
    "description": Wanted(gettext_lazy("Invoice text"), _TEXT, ("invoice.?text", "fakturatext", "^description")),
    "amount": Wanted(gettext_lazy("Net amount"), _NUMBER, ("net.?amount", "^amount", "total", "summa", "belopp")),
    "title": Wanted(gettext_lazy("Title in lists"), _TEXT, ("^name$",)),
}


class FieldsForm(forms.Form):
    """The second step. What is offered is what the object has; `ours` are fields that we write ourselves, and no
    guess. The account's field is offered from `accounts`."""

    def __init__(
        self, schema: ObjectSchema, accounts: Choices, data: Any = None, *, ours: frozenset[str] = frozenset()
    ) -> None:
        super().__init__(data)
        self._choice("account", gettext_lazy("Account"), accounts, accounts[0][0] if accounts else "", required=True)
        mine = [field for field in schema.fields.values() if not field.derived and field.name not in ours]
        for place, wanted in RECORD.items():
            self._field(place, wanted, mine)
        for place, wanted in LINE.items():
            self._field(f"line_{place}", wanted, schema.parts.get(schema.lines, {}).values())
        self.fields["currency"].help_text = _("Empty: the currency of the record, else the org's own.")
        self.fields["amount"].help_text = _("What the invoice must come to. Empty: the sum of the lines.")
        self.fields["discount_is"] = forms.ChoiceField(
            label=_("The discount is"),
            choices=[(PERCENT, _("a percentage")), (AMOUNT, _("an amount off the whole line"))],
            initial=PERCENT,
        )

    def _field(self, name: str, wanted: Wanted, fields: Iterable[FieldSchema]) -> None:
        fitting = sorted((f for f in fields if f.type in wanted.types), key=lambda f: (f.label.casefold(), f.name))
        found = (
            field.name
            for guess in wanted.guesses
            for field in fitting
            if re.search(guess, field.name, re.IGNORECASE) or re.search(guess, field.label, re.IGNORECASE)
        )
        choices = [(field.name, f"{field.label} ({field.name})") for field in fitting]
        self._choice(name, wanted.label, choices, next(found, ""), required=wanted.required)

    def _choice(self, name: str, label: str | Promise, choices: Choices, guess: str, *, required: bool) -> None:
        offered = [("", "–"), *choices]
        self.fields[name] = forms.ChoiceField(label=str(label), choices=offered, required=required, initial=guess)

    def record_fields(self) -> list[Any]:
        """The fields of the record, bound."""
        return [self[name] for name in ("account", *RECORD)]

    def line_fields(self) -> list[Any]:
        """The fields of a line, bound."""
        return [self[name] for name in (*(f"line_{place}" for place in LINE), "discount_is")]

    def chosen(self, remote: str, relationship: str) -> Chosen:
        """What was chosen, by place of the template."""
        data = self.cleaned_data
        fields = {place: data[place] for place in RECORD}
        fields |= {place: data[f"line_{place}"] for place in LINE if place != "discount"}
        fields[f"discount_{data['discount_is']}"] = data["line_discount"]
        return Chosen(remote, relationship, data["account"], fields)
