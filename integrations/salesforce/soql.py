"""Queries built so that nothing of a value or a name can become part of the language.

Names must look like API names (and callers check them against the describe); values are quoted and escaped, or written
as the literal of their type. Source: Salesforce's SOQL guide (escapes, literals, paths of at most five levels). The
invariant: what leaves here is one SELECT, and fits an address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote_plus

from integrations.connector import FieldType
from integrations.errors import InvalidData, Misconfigured
from integrations.salesforce.client import LONGEST_URL
from integrations.salesforce.values import moment as parsed_moment

IDS_AT_ONCE = 200
"""Ids asked for by one query: more rows than this are answered slowly, and an address ends near 350 of them."""
LONGEST_FRAME = 12_000
"""Characters of a query without its list of values; with 2,000 for the list and the headers it stays below 16,384."""
_ESCAPES = {
    "\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f",
}  # fmt: skip
LEVELS = 6


def name(text: str) -> str:
    """An object, field or relationship, as it may stand in a query. Raises `Misconfigured` for anything else."""
    if len(text) > 100 or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text):
        raise Misconfigured(f"{text[:80]!r} is not a name of a field or object", code="INVALID_FIELD", field=text)
    return text


def path(text: str) -> str:
    """A field, or one of a parent (`Account.Name`)."""
    parts = text.split(".")
    if len(parts) > LEVELS:
        raise Misconfigured(f"{text[:80]!r} goes through too many records", code="INVALID_FIELD", field=text)
    return ".".join(map(name, parts))


def quoted(text: str) -> str:
    """A text literal. Raises `InvalidData` for characters that no field can hold."""
    if re.search(r"[\x00-\x07\x0b\x0e-\x1f]|[\ud800-\udfff]", text):
        raise InvalidData("The value has characters that cannot be looked for", code="forbidden_characters")
    return "'" + "".join(_ESCAPES.get(char, char) for char in text) + "'"


def moment(value: datetime) -> str:
    """A moment as literal: UTC, in seconds unless it has a fraction of them."""
    spec = "milliseconds" if value.microsecond >= 1000 else "seconds"
    return value.astimezone(UTC).isoformat(timespec=spec).replace("+00:00", "Z")


def literal(kind: FieldType, text: str) -> str:
    """The literal of a field's type for a value given as text. Raises `InvalidData` when it is no such value."""
    try:
        match kind:
            case FieldType.NUMBER:
                if not re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", text):
                    raise ValueError(text)
                return format(Decimal(text), "f")
            case FieldType.BOOLEAN:
                return {"true": "true", "false": "false"}[text.lower()]
            case FieldType.DATE:
                return date.fromisoformat(text).isoformat()
            case FieldType.DATETIME:
                return moment(parsed_moment(text))
            case _:
                return quoted(text)
    except (ValueError, KeyError):
        raise InvalidData(f"{text[:80]!r} is not a {kind}", code="wrong_type", value=text) from None


def select(fields: Iterable[str], source: str, *, where: str = "", order: str = "", limit: int = 0) -> str:
    """A query. `fields` are paths, or child queries made by `child`; `where` and `order` are made of parts of ours."""
    asked = ", ".join(field if field.startswith("(") else path(field) for field in fields)
    text = f"SELECT {asked} FROM {name(source)}"  # noqa: S608 - every name is checked
    text += f" WHERE {where}" if where else ""
    text += f" ORDER BY {order}" if order else ""
    return text + (f" LIMIT {limit}" if limit else "")


def child(fields: Iterable[str], relationship: str, *, where: str = "", order: str = "", limit: int = 0) -> str:
    """A query of child records inside another one."""
    return f"({select(fields, relationship, where=where, order=order, limit=limit)})"


def within(field: str, literals: Sequence[str]) -> str:
    """The condition that a field has one of these values, given as literals."""
    return f"{path(field)} IN ({','.join(literals)})"


def containing(field: str, text: str) -> str:
    """The condition that a text field contains the text; its own wildcards stand for themselves."""
    plain = quoted(text)[1:-1].replace("%", "\\%").replace("_", "\\_")
    return f"{path(field)} LIKE '%{plain}%'"


def size(text: str) -> int:
    """Characters of a piece of a query in an address."""
    return len(quote_plus(text))


def fits(query: str) -> None:
    """Raise `Misconfigured` for a query that no address can hold: a mapping that reads some hundreds of fields."""
    if (length := size(query)) > LONGEST_FRAME:
        text = "The mapping reads more fields of this object than fit one query"
        raise Misconfigured(text, code="too_many_fields", value=str(length))


def chunks(literals: Iterable[str], frame: str, *, at_most: int = IDS_AT_ONCE) -> Iterator[list[str]]:
    """Lists of literals that each fit an address together with `frame`, the query without them (see `fits`)."""
    fits(frame)
    room = max(LONGEST_URL - size(frame) - 200, 2_000)
    chunk: list[str] = []
    used = 0
    for text in literals:
        needed = size(text) + 3
        if chunk and (len(chunk) >= at_most or used + needed > room):
            yield chunk
            chunk, used = [], 0
        chunk.append(text)
        used += needed
    if chunk:
        yield chunk
