"""Reading a mapping file that anybody may have written: checked to the last key before anything is made of it.

The text is walked once without recursion, which finds depth, duplicate keys, endless lists and the line of every value
before the file is parsed at all. The invariant: what `read` returns has exactly the known keys, of the known types and
lengths; everything else is one `BundleError` that names line, field, value and remedy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

from mappings.bundle import FORMAT, FORMAT_VERSION, HEAD, SECTIONS, Bundle
from mappings.models import FieldMapping, LinkRule, LookupRule, MappingSet, MatchRule, ValidationRule

MAX_BYTES = 1_000_000
MAX_DEPTH = 6
MAX_ROWS = 1_000
MAX_ENTRIES = 5_000
MAX_VALUES = 60_000
MAX_EXPRESSION = 4_000
MAX_PATH = 400
"""As long as a path of keys gets: longer than the longest source value of a value map."""

MODELS: Mapping[str, type[models.Model]] = {
    "fields": FieldMapping, "match_rules": MatchRule, "validations": ValidationRule, "links": LinkRule,
    "lookups": LookupRule,
}  # fmt: skip
_TOP = ("format", "format_version", "systems", "mapping", *SECTIONS, "value_maps")
_TOKEN = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]+|"|\n|[ \t\r]+')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_UNSEEN = re.compile(r"[\x80-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u2060\ufeff]")
"""Direction marks, and spaces and breaks without width: values may have come with them, names of ours not."""
_NAMES = ("name", "label", "slug")


class BundleError(ValidationError):
    """Why a file is refused: with its line and field, what is wrong, and what to do."""


def read(data: bytes) -> Bundle:
    """The content of a mapping file. Raises `BundleError`; never anything else, whatever the bytes."""
    if len(data) > MAX_BYTES:
        text = _("The file is larger than %(limit)d kB. A mapping is never that large: export it again.")
        raise BundleError(text % {"limit": MAX_BYTES // 1000}, code="too_large")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BundleError(_("This is no text in UTF-8. Export the mapping again."), code="encoding") from None
    lines = _walk(text)
    try:
        content = json.loads(text, parse_constant=_no_constant, parse_float=str, parse_int=_small)
    except json.JSONDecodeError as error:
        said = _("Line %(line)d: this is no JSON (%(why)s). The file is damaged: export it again.")
        raise BundleError(said % {"line": error.lineno, "why": error.msg}, code="damaged") from None
    _Checker(lines).check(content)
    return content  # type: ignore[no-any-return]


def _no_constant(name: str) -> NoReturn:
    text = _("“%(value)s” is no value of a mapping file. Remove it.")
    raise BundleError(text % {"value": name}, code="number")


def _small(digits: str) -> int:
    if len(digits) > 9:
        text = _("The number “%(value)s…” is too large for a mapping file. Remove it.")
        raise BundleError(text % {"value": digits[:12]}, code="number")
    return int(digits)


def _walk(text: str) -> dict[str, int]:
    """The line of every value by its path, such as `fields.3.target_field`. Refuses what must not be parsed."""
    lines: dict[str, int] = {}
    line, values = 1, 0
    stack: list[_Open] = []
    for piece in _tokens(text):
        if piece == "\n":
            line += 1
            continue
        if piece == '"':  # refused at the first: looking for the end of each would take the square of the file
            text = _("Line %(line)d: a text does not end. The file is damaged: export it again.")
            raise BundleError(text % {"line": line}, code="damaged")
        top = stack[-1] if stack else None
        if piece in "{[":
            values += 1
            path = _entered(top, line) if top else ""
            lines[path] = line
            stack.append(_Open(path, piece == "["))
            if len(stack) > MAX_DEPTH:
                _refuse(line, path, _("it is nested deeper than any mapping. Export the mapping again"))
        elif piece in "}]":
            if stack:
                stack.pop()
        elif piece == "," and top:
            top.next()
        elif piece == ":" and top:
            top.after_colon = True
        elif piece not in ",:" and top is not None:
            if not top.is_list and not top.after_colon:
                name = _plain(piece)
                if name in top.keys:
                    where = f"{top.path}.{name}".strip(".")[:80]
                    _refuse(line, where, _("this key is there twice. Remove one of them"))
                top.keys.add(name)
                top.key = name
            else:
                values += 1
                lines[_entered(top, line)] = line
        if values > MAX_VALUES:
            _refuse(line, "", _("there are more values than any mapping has. Export the mapping again"))
    return lines


def _entered(top: _Open, line: int) -> str:
    """The path of the value that begins here; refuses one that no mapping has, before thousands of it are kept."""
    path = top.enter()
    if len(path) > MAX_PATH:
        _refuse(line, f"{path[:80]}…", _("this key is longer than any of a mapping. Export the mapping again"))
    return path


class _Open:
    """A list or object that is being walked."""

    def __init__(self, path: str, is_list: bool) -> None:
        self.path, self.is_list = path, is_list
        self.keys: set[str] = set()
        self.key = ""
        self.count = 0
        self.after_colon = False

    def enter(self) -> str:
        """The path of the value that begins here."""
        return f"{self.path}.{self.count if self.is_list else self.key}".lstrip(".")

    def next(self) -> None:
        """After a comma."""
        self.count += 1
        self.after_colon = False


def _tokens(text: str) -> Iterator[str]:
    for found in _TOKEN.finditer(text):
        piece = found.group()
        if not piece.isspace() or piece == "\n":
            yield piece


def _plain(piece: str) -> str:
    """A key as it reads, escapes resolved: `"a"` and `"\\u0061"` are one key."""
    try:
        return str(json.loads(piece))
    except ValueError:
        return piece


def _refuse(line: int, path: str, why: str) -> NoReturn:
    place = _("Line %(line)d, %(field)s") if path else _("Line %(line)d")
    raise BundleError(f"{place % {'line': line, 'field': path}}: {why}.", code="refused")


class _Checker:
    """Keys, types and lengths of a parsed file."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self.lines = lines

    def refuse(self, path: str, why: str, **values: Any) -> NoReturn:
        """One refusal, with its line and field."""
        _refuse(self.lines.get(path, 1), path, why % values)

    def check(self, content: Any) -> None:
        """See `read`."""
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            self.refuse("format" if isinstance(content, dict) else "", _("this is no mapping file of Ledgerbridge"))
        version = content.get("format_version")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            self.refuse("format_version", _("the version of the format is missing. Export the mapping again"))
        if version > FORMAT_VERSION:
            why = _("format %(got)d is newer than this installation reads (%(known)d). Update Ledgerbridge first")
            self.refuse("format_version", why, got=version, known=FORMAT_VERSION)
        self.keys(content, "", _TOP, ("mapping", "fields"))
        self.strings(content.get("systems", {}), "systems", ("crm", "ledger"), required=())
        needed = ("slug", "name", "source_side", "source_object", "target_side", "target_object")
        self.row(content["mapping"], "mapping", MappingSet, HEAD, needed)
        for section, (_related, columns) in SECTIONS.items():
            for number, row in enumerate(self.rows(content.get(section, []), section, MAX_ROWS)):
                self.row(row, f"{section}.{number}", MODELS[section], columns, ())
        for number, row in enumerate(self.rows(content.get("value_maps", []), "value_maps", MAX_ROWS)):
            self.value_map(row, f"value_maps.{number}")

    def keys(self, data: Any, path: str, known: tuple[str, ...], needed: tuple[str, ...]) -> None:
        """An object with known keys only."""
        if not isinstance(data, dict):
            self.refuse(path, _("here belongs an object, in braces"))
        for name in data:
            if name not in known:
                where = f"{path}.{name}".strip(".")
                self.refuse(
                    where, _("“%(name)s” is not known here. Remove it, or correct its spelling"), name=name[:80]
                )
        for name in needed:
            if name not in data:
                self.refuse(path, _("“%(name)s” is missing. Add it"), name=name)

    def rows(self, data: Any, path: str, limit: int) -> list[Any]:
        """A list of bounded length."""
        if not isinstance(data, list):
            self.refuse(path, _("here belongs a list, in brackets"))
        if len(data) > limit:
            self.refuse(path, _("%(n)d rows are more than the %(limit)d that are allowed"), n=len(data), limit=limit)
        return data

    def row(
        self, data: Any, path: str, model: type[models.Model], known: tuple[str, ...], needed: tuple[str, ...]
    ) -> None:
        """The columns of one rule: right type, right length."""
        self.keys(data, path, known, needed)
        for name, value in data.items():
            column = model._meta.get_field(name)
            where = f"{path}.{name}"
            if isinstance(column, models.BooleanField):
                if not isinstance(value, bool):
                    self.refuse(where, _("here belongs true or false, without quotation marks"))
                continue
            limit = (column.max_length or MAX_EXPRESSION) if isinstance(column, models.Field) else 80
            self.text(value, where, 80 if name == "value_map" else limit, markup=name in _NAMES)

    def strings(self, data: Any, path: str, known: tuple[str, ...], required: tuple[str, ...]) -> None:
        """An object of short texts."""
        self.keys(data, path, known, required)
        for name, value in data.items():
            self.text(value, f"{path}.{name}", 80, markup=True)

    def value_map(self, data: Any, path: str) -> None:
        """One value map with its translations."""
        self.keys(data, path, ("name", "unmapped", "default_value", "entries"), ("name", "entries"))
        self.text(data["name"], f"{path}.name", 80, markup=True)
        for name in ("unmapped", "default_value"):
            self.text(data.get(name, ""), f"{path}.{name}", 200)
        entries = data["entries"]
        if not isinstance(entries, dict):
            self.refuse(f"{path}.entries", _("here belongs an object, in braces"))
        if len(entries) > MAX_ENTRIES:
            why = _("%(n)d rows are more than the %(limit)d that are allowed")
            self.refuse(f"{path}.entries", why, n=len(entries), limit=MAX_ENTRIES)
        for source, target in entries.items():
            self.text(source, f"{path}.entries.{source[:60]}", 200)
            self.text(target, f"{path}.entries.{source[:60]}", 200)

    def text(self, value: Any, path: str, limit: int, *, markup: bool = False) -> None:
        """A text that a database keeps and a page shows."""
        if not isinstance(value, str):
            self.refuse(path, _("here belongs text, in quotation marks"))
        if len(value) > limit:
            self.refuse(path, _("%(n)d characters are more than the %(limit)d allowed"), n=len(value), limit=limit)
        unseen = _CONTROL.search(value) or (markup and _UNSEEN.search(value))
        if unseen or any(0xD800 <= ord(sign) <= 0xDFFF for sign in value):
            self.refuse(path, _("it contains characters that cannot be seen. Write it anew"))
        if markup and ("<" in value or ">" in value):
            self.refuse(path, _("a name contains no “<” or “>”. Write it without"))
