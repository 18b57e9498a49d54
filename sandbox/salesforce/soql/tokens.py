"""Tokens of a SOQL text, each with the place where it began."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from ..errors import SfError

PLACE_LINES = "\n{line}\n{pointer}\nERROR at Row:{row}:Column:{column}\n{text}"


class Sort(Enum):
    """What a token is."""

    NAME = auto()  # a keyword, or a name with its dots: Account.Name
    STRING = auto()
    NUMBER = auto()
    DATE = auto()
    DATETIME = auto()
    SIGN = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """``text`` as written; for strings the unescaped content. ``raw`` is what stood between the quotes."""

    sort: Sort
    text: str
    start: int
    raw: str = ""

    @property
    def word(self) -> str:
        """The text in capitals, to compare with keywords; empty for anything but a name."""
        return self.text.upper() if self.sort is Sort.NAME else ""


_PATTERN = re.compile(
    r"""\s*(?:
      (?P<DATETIME>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))
    | (?P<DATE>\d{4}-\d\d-\d\d(?![\dT]))
    | (?P<NUMBER>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?![\w.-]))
    | (?P<NAME>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)
    | '(?P<STRING>(?:[^'\\]|\\.)*)'
    | (?P<SIGN><>|!=|<=|>=|[=<>(),:*])
    )""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PLAIN = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_LIKE_ONLY = {"%": "\\%", "_": "\\_"}  # kept escaped: only LIKE gives them a meaning


def tokenize(source: str) -> list[Token]:
    """All tokens, the last one END; SfError MALFORMED_QUERY for text that is none."""
    tokens: list[Token] = []
    position, length = 0, len(source.rstrip())
    while position < length:
        match = _PATTERN.match(source, position)
        if match is None:
            raise _no_token(source, position)
        name = match.lastgroup or "SIGN"
        text, start = match[name], match.start(name)
        if name == "STRING":
            tokens.append(Token(Sort.STRING, _unescape(text), start - 1, text))
        elif name == "NAME":
            tokens.append(Token(Sort.NAME, re.sub(r"\s+", "", text), start))
        else:
            tokens.append(Token(Sort[name], text, start))
        position = match.end()
    tokens.append(Token(Sort.END, "<EOF>", length))
    return tokens


def placed(code: str, text: str, source: str, start: int) -> SfError:
    """A 400 that repeats the query's line with a caret under the place, as Salesforce words them."""
    before = source[:start]
    row = before.count("\n") + 1
    column = start - (before.rfind("\n") + 1)
    line = source.split("\n")[row - 1] if source else ""
    return SfError(
        400,
        code,
        PLACE_LINES.format(line=line, pointer=" " * column + "^", row=row, column=column + 1, text=text),
    )


def malformed(text: str) -> SfError:
    """A syntax error; Salesforce names no place for most of them."""
    return SfError(400, "MALFORMED_QUERY", text)


def unexpected(token: Token) -> SfError:
    """The parser met something else than it needs."""
    return malformed(f"unexpected token: '{token.text}'")


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        character = match[1]
        plain = _PLAIN.get(character.lower() if character.isalpha() else character)
        if plain is not None:
            return plain
        if character in _LIKE_ONLY:
            return character
        sequence = f"Illegal character sequence '\\{character}' in string literal."
        raise malformed(f"Invalid string literal '{text}'. {sequence}")

    return _ESCAPE.sub(replace, text)


def like_pattern(raw: str) -> re.Pattern[str]:
    """What a LIKE operand means: ``%`` any text, ``_`` one character, both literally when escaped; case is ignored."""
    parts: list[str] = []
    position = 0
    while position < len(raw):
        character = raw[position]
        if character == "\\":
            position += 1
            escaped = raw[position]
            parts.append(re.escape(_PLAIN.get(escaped.lower() if escaped.isalpha() else escaped, escaped)))
        elif character == "%":
            parts.append(".*")
        elif character == "_":
            parts.append(".")
        else:
            parts.append(re.escape(character))
        position += 1
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def _no_token(source: str, position: int) -> SfError:
    start = position + len(source[position:]) - len(source[position:].lstrip())
    if source[start] == "'":
        return malformed(f"line 1:{start + 1} mismatched character '<EOF>' expecting '''")
    word = re.match(r"\S+?(?=[\s,)]|$)", source[start:])
    return malformed(f"unexpected token: '{word[0] if word else source[start]}'")
