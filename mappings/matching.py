"""Match rules and the normalisers that make two spellings of one identifier equal. Pure.

The invariant: two values match only if their normalised forms are equal and not empty; a remote search is never
trusted beyond that (Q-20).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from mappings import identifiers
from mappings.expressions import Compiled


@dataclass(frozen=True)
class Normaliser:
    """`read` gives the canonical form ("" when there is none); `spell` the forms under which it may be stored."""

    read: Callable[[str], str]
    spell: Callable[[str], Iterable[str]]
    label: Any  # lazily translated


@dataclass(frozen=True)
class CompiledMatch:
    """One way to find the counterpart of a record. Not `certain`: only a suggestion for a person."""

    id: int | None
    label: str
    expression: Compiled
    target_field: str
    normaliser: str
    certain: bool = True
    extra: tuple[Compiled, str, str] | None = None

    @property
    def outcome(self) -> str:
        """What a single hit means: "link" or "suggest"."""
        return "link" if self.certain else "suggest"


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


def _spell_text(value: str) -> Iterable[str]:
    return dict.fromkeys((value, value.upper(), value.title(), value.capitalize()))


def _spell_organisation(value: str) -> Iterable[str]:
    return (value, f"{value[:6]}-{value[6:]}", f"16{value}", f"16{value[:6]}-{value[6:]}", f"SE{value}01")


def _spell_domain(value: str) -> Iterable[str]:
    return (
        value,
        f"www.{value}",
        f"https://{value}",
        f"https://www.{value}",
        f"http://{value}",
        f"http://www.{value}",
    )


def _as_is(value: str) -> Iterable[str]:
    return (value,)


NORMALISERS: dict[str, Normaliser] = {
    "exact": Normaliser(str.strip, _as_is, _("Exactly equal")),
    "text": Normaliser(_fold, _spell_text, _("Text, ignoring case and spaces")),
    "digits": Normaliser(identifiers.digits, _as_is, _("Digits only")),
    "orgnr": Normaliser(identifiers.organisation_number, _spell_organisation, _("Organisation number")),
    "domain": Normaliser(identifiers.company_domain, _spell_domain, _("Internet domain, not freemail")),
    "email": Normaliser(identifiers.personal_email, _as_is, _("E-mail address, not freemail or shared mailbox")),
}
