"""CSV of Bulk API 2.0: read with its delimiters and line endings, written as the service writes it.

Bulk API 2.0 guide: the line ending declared with the job must be that of the file, ``#N/A`` sets null, an empty cell
leaves the field alone, results quote every value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

DELIMITERS = {"BACKQUOTE": "`", "CARET": "^", "COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
NULL = "#N/A"
MOST_FIELDS = 5_000
LONGEST_FIELD = 131_072
LONGEST_RECORD = 400_000


class InvalidBatch(Exception):
    """The file as a whole cannot be processed; the text becomes the job's ``errorMessage``."""


def read(raw: bytes, delimiter: str, line_ending: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows. InvalidBatch when the file is no CSV of this form."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidBatch("InvalidBatch : Failed to parse CSV, the file is not UTF-8") from None
    if text.startswith("\ufeff"):
        raise InvalidBatch("InvalidBatch : Field name not found : \ufeff" + text[1:].partition("\n")[0].split(",")[0])
    if not text.strip():
        raise InvalidBatch("InvalidBatch : The file is empty")
    _check_line_ending(text, line_ending)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[delimiter], strict=True)
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_RECORD * 4))
    try:
        header, *rows = [row for row in reader if row]
    except csv.Error as error:
        raise InvalidBatch(f"InvalidBatch : Failed to parse CSV: {error}") from None
    _check_sizes(header, rows)
    return [name.strip() for name in header], rows


def _check_line_ending(text: str, line_ending: str) -> None:
    """The first line of the file must end as the job says; a file of one line may end as it likes."""
    position = text.find("\n")
    found = "CRLF" if position > 0 and text[position - 1] == "\r" else "LF"
    if position >= 0 and found != line_ending:
        raise InvalidBatch(
            f"InvalidBatch : LineEnding is invalid on user data. Current LineEnding setting is {line_ending}"
        )


def _check_sizes(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if len(header) > MOST_FIELDS:
        raise InvalidBatch(f"InvalidBatch : Records cannot have more than {MOST_FIELDS} fields")
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            raise InvalidBatch(
                f"InvalidBatch : Failed to parse CSV, row {number} has {len(row)} columns instead of {len(header)}"
            )
        if sum(map(len, row)) > LONGEST_RECORD or any(len(cell) > LONGEST_FIELD for cell in row):
            raise InvalidBatch(f"InvalidBatch : Record {number} exceeds the maximum size")


def write(
    first: Sequence[str], header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str, line_ending: str
) -> str:
    """A result file: the service's own columns quoted in front of the uploaded header as it came, all values quoted."""
    sign, end = DELIMITERS[delimiter], LINE_ENDINGS[line_ending]
    head = sign.join([*map(quoted, first), *(_as_needed(name, sign) for name in header)])
    return end.join([head, *(sign.join(map(quoted, row)) for row in rows), ""])


def quoted(text: str) -> str:
    """A cell in quotes."""
    return '"' + text.replace('"', '""') + '"'


def _as_needed(text: str, sign: str) -> str:
    return quoted(text) if any(mark in text for mark in (sign, '"', "\n", "\r")) else text


def cell(value: Any) -> str:
    """A stored or rendered value as query results show it: datetimes end in Z, null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return str(float(value))
    text = str(value)
    return text.removesuffix("+0000") + "Z" if len(text) == 28 and text.endswith(".000+0000") else text
