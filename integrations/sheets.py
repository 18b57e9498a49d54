"""Rows for spreadsheets: CSV that opens right in Excel and never runs as a formula.

A cell that starts with `=`, `+`, `-`, `@`, a tab or a carriage return is a formula to spreadsheet programs (CWE-1236,
"CSV injection"); vendor data is hostile, so such text gets a leading apostrophe. So does what follows a separator in a
text: a program of another country parts the line there, whatever our quotation marks. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.http import StreamingHttpResponse

_INSIDE = re.compile(r"""([,;\t\r\n]["'\s]*)(?=[=+@＝＋＠-])""")
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
BOM = "\ufeff"


def cell(value: Any) -> str:
    """One value as a spreadsheet may safely hold it: text is defused, times are ISO 8601, nothing is blank."""
    if value is None:
        return ""
    if isinstance(value, bool | int | Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    text = str(value)
    text = _INSIDE.sub(r"\1'", text)
    return f"'{text}" if text.lstrip(" ").startswith(DANGEROUS) else text


class _Echo:
    def write(self, text: str) -> str:
        return text


def write_rows(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a CSV file (semicolons, as Swedish Excel expects; UTF-8 with its mark), one at a time."""
    writer = csv.writer(_Echo(), delimiter=";", lineterminator="\r\n")
    yield BOM + str(writer.writerow([cell(value) for value in header]))
    for row in rows:
        yield str(writer.writerow([cell(value) for value in row]))


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A CSV file to save as `name` (ASCII letters, digits, dots and hyphens), streamed in constant memory."""
    response = StreamingHttpResponse(write_rows(header, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
