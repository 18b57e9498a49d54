"""Functions on text. Numbers and dates become text in `concat` and `join` only."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from functools import lru_cache

from integrations.connector import Value
from mappings.expressions.errors import MappingError
from mappings.expressions.functions.arguments import need_text, need_whole
from mappings.expressions.messages import _, say
from mappings.expressions.patterns import Pattern, compile_pattern
from mappings.expressions.registry import MAX_ARGUMENTS, function
from mappings.expressions.values import MAX_TEXT, is_blank, text_of

_GROUP = "Text"


@function("trim(text)", "trim(customer.Name)", "Åkers Järn AB", group=_GROUP, arguments=(1, 1))
def trim(value: Value) -> Value:
    """The text without spaces at both ends."""
    return None if value is None else need_text(value, "trim").strip()


@function("upper(text)", 'upper("se")', "SE", group=_GROUP, arguments=(1, 1))
def upper(value: Value) -> Value:
    """The text in capital letters."""
    return None if value is None else need_text(value, "upper").upper()


@function("lower(text)", 'lower("Info@Example.SE")', "info@example.se", group=_GROUP, arguments=(1, 1))
def lower(value: Value) -> Value:
    """The text in small letters."""
    return None if value is None else need_text(value, "lower").lower()


@function("default(value, fallback)", 'default(customer.Address2, "–")', "–", group=_GROUP, arguments=(2, 2))
def default(value: Value, fallback: Value) -> Value:
    """The value, or the fallback when the value is empty."""
    return fallback if is_blank(value) else value


@function(
    "first_of(value, …)",
    "first_of(customer.Address2, customer.Phone1)",
    "08-123 45 67",
    group=_GROUP,
    arguments=(1, MAX_ARGUMENTS),
)
def first_of(*values: Value) -> Value:
    """The first value that is not empty."""
    return next((value for value in values if not is_blank(value)), None)


@function(
    "concat(value, …)",
    'concat(invoice.DocumentNumber, " - ", trim(customer.Name))',
    "203 - Åkers Järn AB",
    group=_GROUP,
    arguments=(1, MAX_ARGUMENTS),
)
def concat(*values: Value) -> Value:
    """All values as one text; empty ones are left out."""
    return _joined("", [text_of(value) for value in values])


@function(
    "join(separator, value, …)",
    'join(", ", customer.Address2, customer.Phone1, "Lund")',
    "08-123 45 67, Lund",
    group=_GROUP,
    arguments=(2, MAX_ARGUMENTS),
)
def join(separator: Value, *values: Value) -> Value:
    """The values that are not empty, with the separator between them."""
    return _joined(need_text(separator, "join"), [text_of(v) for v in values if not is_blank(v)])


def _joined(separator: str, texts: list[str]) -> str:
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
        raise MappingError(_("The text is longer than 64 KB"), _("Shorten its parts with truncate()."))
    return separator.join(texts)


@function("split(text, separator, number)", 'split("Stockholm/Söder", "/", 2)', "Söder", group=_GROUP, arguments=(3, 3))
def split(value: Value, separator: Value, number: Value) -> Value:
    """One piece of the text, cut at the separator: 1 is the first, -1 the last; a missing piece is empty."""
    wanted = need_whole(number, "split", -MAX_TEXT, MAX_TEXT)
    mark = need_text(separator, "split")
    if not mark or wanted == 0:
        raise MappingError(
            _("split() needs a separator and a number other than 0"), _("1 is the first piece, -1 the last.")
        )
    if value is None:
        return None
    pieces = need_text(value, "split").split(mark)
    index = wanted - 1 if wanted > 0 else wanted
    return pieces[index] if -len(pieces) <= index < len(pieces) else None


@function("replace(text, old, new)", 'replace(customer.Phone1, "-", "")', "08123 45 67", group=_GROUP, arguments=(3, 3))
def replace(value: Value, old: Value, new: Value) -> Value:
    """The text with every occurrence of `old` replaced by `new`."""
    before, after = need_text(old, "replace"), "" if new is None else need_text(new, "replace")
    if not before:
        raise MappingError(_("replace() needs something to replace"), _("Give the text to look for."))
    if value is None:
        return None
    text = need_text(value, "replace")
    if len(text) + text.count(before) * (len(after) - len(before)) > MAX_TEXT:
        raise MappingError(_("The text is longer than 64 KB"), _("Shorten it with truncate()."))
    return text.replace(before, after)


def _check_pattern(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError(_("A pattern in quotes was expected"))
    compile_pattern(value)


@function(
    "regex_extract(text, pattern)",
    'regex_extract(invoice.Remarks, "PO ([0-9]+)")',
    "4711",
    group=_GROUP,
    arguments=(2, 2),
    literals={1: _check_pattern},
)
def regex_extract(value: Value, pattern: Value) -> Value:
    """The first group of the first match of the pattern (the whole match if it has no group); empty if none.
    The pattern is a constant: letters, `.`, `[…]`, `\\d \\w \\s`, `( )`, `(?: )`, `|`, `* + ? {m,n}`, `^ $`."""
    if is_blank(value):
        return None
    return _pattern(need_text(pattern, "regex_extract")).extract(need_text(value, "regex_extract"))


def _pattern(source: str) -> Pattern:
    return compile_pattern(source)


@function("matches(text, pattern)", 'matches("A-1/b", "[A-Za-z0-9/-]+")', True, group=_GROUP, arguments=(2, 2))
def matches(value: Value, pattern: Value) -> Value:
    """Whether the whole text fits the pattern, which may come from a setting; nothing fits no pattern."""
    if is_blank(value):
        return False
    source = need_text(pattern, "matches")
    try:
        known = _whole(source)
    except ValueError as error:
        raise MappingError(
            say(_("The pattern “%(pattern)s” cannot be used: %(reason)s"), {"pattern": source, "reason": str(error)}),
            _("Correct the pattern in the settings of the flow, or in the mapping."),
            code="pattern",
            value=source,
        ) from None
    return known.fits(need_text(value, "matches"))


@lru_cache(maxsize=200)
def _whole(source: str) -> Pattern:
    compile_pattern(source)  # on its own first, so that no bracket closes ours
    return compile_pattern(f"^(?:{source})$")


@function("plain(text)", 'plain("Tack! \U0001f600")', "Tack!", group=_GROUP, arguments=(1, 1))
def plain(value: Value) -> Value:
    """The text without emoji and control characters; tabs become spaces, line breaks stay."""
    if value is None:
        return None
    text = unicodedata.normalize("NFC", need_text(value, "plain")).replace("\t", " ")
    return "".join(character for character in text if _printed(character)).strip()


_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "So", "Sk"})


def _printed(character: str) -> bool:
    """Whether a ledger prints it. Signs of Latin-1, such as §, are no emoji; variation selectors are."""
    if character in "\r\n™":
        return True
    kind = unicodedata.category(character)
    if kind in {"So", "Sk"} and character < "\u0100":
        return True
    return kind not in _DROPPED and not "\ufe00" <= character <= "\ufe0f"


@function("truncate(text, length)", 'truncate("Widget, blue", 6)', "Widget", group=_GROUP, arguments=(2, 2))
def truncate(value: Value, length: Value) -> Value:
    """At most so many characters of the text."""
    limit = need_whole(length, "truncate", 0, MAX_TEXT)
    return None if value is None else need_text(value, "truncate")[:limit]


@function("length(text)", 'length("Lund")', Decimal(4), group=_GROUP, arguments=(1, 1))
def length(value: Value) -> Value:
    """The number of characters; 0 for nothing."""
    return Decimal(0) if value is None else Decimal(len(need_text(value, "length")))


@function("starts_with(text, beginning)", 'starts_with(customer.WWW, "https:")', True, group=_GROUP, arguments=(2, 2))
def starts_with(value: Value, beginning: Value) -> Value:
    """Whether the text begins so, regardless of case."""
    return _folded(value, "starts_with").startswith(_folded(beginning, "starts_with"))


@function("contains(text, part)", 'contains(invoice.Remarks, "Gate")', True, group=_GROUP, arguments=(2, 2))
def contains(value: Value, part: Value) -> Value:
    """Whether the part occurs in the text, regardless of case."""
    return _folded(part, "contains") in _folded(value, "contains")


def _folded(value: Value, name: str) -> str:
    return "" if value is None else need_text(value, name).casefold()
