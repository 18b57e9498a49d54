"""Sentences that are stored and read later, in whatever language the reader has.

`every` translates like `gettext`, and its result is a `str` in the active language that remembers what it is in every
other one, through `%` too. So a check that runs in a worker is written as any page is: `from integrations.words import
every as _`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from django.conf import settings
from django.utils import translation


class Text(str):
    """A text in the active language, with its versions by language code in `languages`."""

    languages: dict[str, str]

    @classmethod
    def of(cls, languages: dict[str, str]) -> Self:
        """The text whose versions these are."""
        text = cls(in_this_language(languages))
        text.languages = languages
        return text

    def __mod__(self, values: Any) -> Text:
        """As `str` does, in every language; values that have languages themselves take part."""
        return Text.of({code: text % _in(values, code) for code, text in self.languages.items()})

    def __add__(self, other: str) -> Text:
        """One sentence after another."""
        return Text.of({code: text + _version(other, code) for code, text in self.languages.items()})


def every(message: str) -> Text:
    """`message` translated, for now and for later."""
    versions = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            versions[code] = translation.gettext(message) if message else ""
    return Text.of(versions)


def listed(texts: Iterable[str], separator: str = ", ") -> Text:
    """Several texts in one, in every language."""
    parts = list(texts)
    return Text.of(
        {code: separator.join(str(_version(part, code)) for part in parts) for code, _name in settings.LANGUAGES}
    )


def in_every_language(text: str) -> dict[str, str]:
    """The versions of a text; a plain one reads the same in every language."""
    if isinstance(text, Text):
        return dict(text.languages)
    return {code: str(text) for code, _name in settings.LANGUAGES} if text else {}


def in_this_language(texts: Mapping[str, str]) -> str:
    """The version for the active language, else English; "" when there is none."""
    code = (translation.get_language() or "en").split("-")[0]
    return texts.get(code) or texts.get("en", "")


def _in(values: Any, code: str) -> Any:
    if isinstance(values, Mapping):
        return {name: _version(value, code) for name, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_version(value, code) for value in values)
    return _version(values, code)


def _version(value: Any, code: str) -> Any:
    return value.languages.get(code, str(value)) if isinstance(value, Text) else value
