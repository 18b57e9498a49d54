"""Typed values become Fortnox's JSON: in its alphabet, within its lengths, or refused by field and value.

Fortnox answers a wrong value with a Swedish sentence and often without the field's name, so what is known to be
refused is refused here. Free text is normalised instead (a person wrote it, and a missing quotation mark does no
harm); keys and codes never are, because another spelling is another article. The invariants: no sent text holds a
character outside Fortnox's alphabet, and a number that is sent is the number that Fortnox stores.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from integrations.connector import FieldType, Value
from integrations.errors import InvalidData, Misconfigured
from integrations.fortnox import fields, schema
from integrations.fortnox.schema import Column, Resource

BLANK = "API_BLANK"
"""What clears a field in a PUT: "" and null leave it alone (reported by several clients)."""
MAX_ROWS = 500
TEXT_ROW = ("ArticleNumber", "AccountNumber", "Price", "DeliveredQuantity")
"""What must be cleared to make a row of an existing invoice a text row (reported)."""

# The documented alphabet: letters of any script, the ten digits and these signs; no straight quotes, brackets or tabs.
# Look-alikes are replaced one character for one, so that a text that fits still fits.
_SIGNS = frozenset("’\\\u0308\u030a –:.`´,;^¤#%§£$€¢¥©™°&/()=+-*_!?²³®½@\u00a0\n\r0123456789")
_LIKE = str.maketrans(
    {
        "'": "’", "‘": "’", "‛": "’", "′": "’", "ʼ": "’", "\t": " ", "\v": " ", "\f": "\n", "—": "–", "―": "–",
        "−": "-", "‐": "-", "‑": "-", "‒": "–", "•": "-", "·": "-", "…": ".", "\u2028": "\n", "\u2029": "\n",
        "\u2009": " ", "\u200a": " ", "\u202f": " ", "\u2007": " ", "×": "x",
    }
)  # fmt: skip
FREE_TEXT = frozenset(
    re.findall(
        r"\S+",
        "Name CustomerName Address1 Address2 City Comments DeliveryAddress1 DeliveryAddress2 "
        "DeliveryCity DeliveryName VisitingAddress VisitingCity InvoiceRemark Remarks Description Note "
        "OurReference YourReference YourOrderNumber Manufacturer StockPlace Phone1 Phone2 DeliveryPhone1 "
        "DeliveryPhone2 Fax DeliveryFax",
    )
)
"""Fields whose text is for people; all other text identifies something."""
_ONE_LINE = FREE_TEXT - {"Comments", "InvoiceRemark", "Remarks", "Description", "Note"}


def _allowed(char: str) -> bool:
    return char in _SIGNS or unicodedata.category(char).startswith("L")


def spelled(text: str) -> str:
    """Text in Fortnox's alphabet: apostrophes, dashes and blanks become the allowed ones, the rest is dropped."""
    return "".join(filter(_allowed, unicodedata.normalize("NFC", text).translate(_LIKE)))


def wire(it: Resource, values: Mapping[str, Value], *, create: bool) -> dict[str, Any]:
    """The body of a write. None clears a field on update and is left out on create.

    Raises `Misconfigured` for a field that does not exist or cannot be written, `InvalidData` (with field and value)
    for one that Fortnox would refuse. The key is left out of updates: it stands in the path.
    """
    body = _wire(it.table, values, create=create)
    if not create:
        body.pop(it.key, None)
    return body


def wire_lines(lines: Sequence[Mapping[str, Value]], *, create: bool) -> list[dict[str, Any]]:
    """The rows of a document; the caller's own `line_key` stays here. Errors name the row they are about."""
    if len(lines) > MAX_ROWS:
        raise InvalidData(
            f"An invoice may have {MAX_ROWS} rows, not {len(lines)}",
            code="too_many_rows",
            field="InvoiceRows",
            value=str(len(lines)),
        )
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_wire(fields.ROW, {k: v for k, v in line.items() if k != "line_key"}, create=create))
        except InvalidData as error:
            error.context |= {"row": number}
            raise
    return rows


def rows_of_update(lines: Sequence[Mapping[str, Value]], old: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows that make an existing invoice hold exactly `lines`, given the rows it has.

    Fortnox matches rows by position unless one carries its RowId, and then keeps what the new row does not mention:
    the price, discount and account of another article. With any RowId, rows with one are updated, rows without are
    new, and the others go. So a line keeps the row of the same article (or the same text), with what an accountant
    corrected there; every other line is new. When nothing matches, the first row is emptied and used.
    """
    left = list(old)
    rows = []
    for line in wire_lines(lines, create=True):
        before = next((row for row in left if _identity(row) == _identity(line)), None)
        if before is not None:
            left.remove(before)
            line = _emptied(line, (*TEXT_ROW[1:], "Discount") if _is_text(line) else ()) | {"RowId": before["RowId"]}
        rows.append(line)
    if rows and old and not any("RowId" in row for row in rows):
        everything = (*TEXT_ROW, "Discount", "DiscountType", "Description", "Unit", "VAT", "Project", "CostCenter")
        rows[0] = _emptied(rows[0], everything) | {"RowId": old[0]["RowId"]}
    return rows


def _identity(row: Mapping[str, Any]) -> tuple[str, str]:
    article = str(row.get("ArticleNumber") or "")
    return (article, "") if article else ("", str(row.get("Description") or ""))


def _is_text(row: Mapping[str, Any]) -> bool:
    return not any(name in row for name in TEXT_ROW)


def _emptied(row: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The row with the unmentioned fields cleared; a discount is cleared by an explicit 0."""
    return {name: 0 if name == "Discount" else BLANK for name in names if name not in row} | row


def _wire(table: str, values: Mapping[str, Value], *, create: bool) -> dict[str, Any]:
    known = schema.columns(table)
    body: dict[str, Any] = {}
    for name, value in values.items():
        column = known.get(name)
        if column is None or not column.schema.writable:
            raise Misconfigured(f"Fortnox's {name} cannot be written", code="read_only", field=name)
        sent = None if value is None or value == "" else _wire_value(column, value)
        if sent is not None and sent != "":
            body[name] = sent
        elif not create:
            body[name] = BLANK
    return body


def _wire_value(column: Column, value: Value) -> Any:
    kind = column.schema.type
    if isinstance(value, date):
        value = value.isoformat()[:10]
    if kind is FieldType.BOOLEAN and isinstance(value, bool):
        return value
    if kind is FieldType.NUMBER and not isinstance(value, bool):
        return _number(column, value)
    if kind is FieldType.DATE and isinstance(value, str) and _is_day(value):
        return value
    if kind in {FieldType.STRING, FieldType.ENUM} and not isinstance(value, bool):
        return _text(column, str(value))
    raise _refused(column, value, f"is not a {column.kind}", "wrong_type")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _text(column: Column, value: str) -> str:
    """Free text in Fortnox's alphabet; a key or code as it is, or refused."""
    name = column.name
    options = {option.value for option in column.schema.options}
    if options and value not in options:
        raise _refused(column, value, "is not one of Fortnox's options", "not_an_option")
    if name in FREE_TEXT:
        value = spelled(value)
        if name in _ONE_LINE:
            value = re.sub(r"\s*[\r\n]+\s*", " ", value).strip()
    elif bad := next((char for char in value if not _allowed(char) or char in "\r\n"), ""):
        raise _refused(column, value, f"holds {bad!r}, which Fortnox does not allow", "forbidden_characters")
    limit = column.schema.max_length
    if limit is not None and len(value) > limit:
        raise _refused(column, value, f"has {len(value)} characters; Fortnox allows {limit}", "too_long")
    return value


def _number(column: Column, value: Value) -> int | float | str:
    """A JSON number that says exactly this; a string where a float could not.

    Fortnox rounds to two decimals, half away from zero; the same rounding here makes what was sent what is stored.
    A whole number (a VAT rate, an account) is never rounded into another one.
    """
    try:
        number = Decimal(str(value))
        if not number.is_finite() or abs(number) >= Decimal(10) ** 15:
            raise InvalidOperation
    except InvalidOperation:
        raise _refused(column, value, f"is not a {column.kind}", "wrong_type") from None
    places = column.schema.decimals
    if places:
        number = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    if number == number.to_integral_value():
        return int(number)
    if places == 0:
        raise _refused(column, value, "is not a whole number", "wrong_type")
    return float(number) if Decimal(repr(float(number))) == number else format(number, "f")


def _refused(column: Column, value: Value, what: str, code: str) -> InvalidData:
    return InvalidData(f"{str(value)[:80]!r} {what}", code=code, field=column.name, value=str(value))
