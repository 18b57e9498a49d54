"""Entry conditions of record-triggered flows: the part of Salesforce's formula language that they are written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(
    r"""\s*(?:(?P<merge>\{!\$(?P<scope>Record__Prior|Record|Permission)\.(?P<name>\w+)\})|(?P<text>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z_]\w*)|(?P<sign><>|!=|==|<=|>=|&&|\|\||[=<>!(),]))"""
)


class FormulaError(Exception):
    """The formula cannot be understood; the text is what a deployment says."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a formula is evaluated over: a record before (empty when it is new) and after, and the user's rights."""

    old: Mapping[str, Any]
    new: Mapping[str, Any]
    permission: Callable[[str], bool]

    @property
    def created(self) -> bool:
        """Whether the record is new."""
        return not self.old


Node = Callable[[Scope], Any]


def parse(text: str) -> Node:
    """The condition a formula states; FormulaError when it is none, or uses what is not supported."""
    parser = _Parser(_tokens(text))
    node = parser.either()
    if parser.kind:
        raise FormulaError(f"Syntax error. Extra {parser.value}")
    return node


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    text = text.strip()
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            raise FormulaError(f"Syntax error at position {place + 1}")
        kind = str(match.lastgroup) if match["merge"] is None else "merge"
        value = f"{match['scope']}.{match['name']}" if kind == "merge" else match[kind]
        found.append((kind, value))
        place = match.end()
    return found


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = [*tokens, ("", "")]
        self._place = 0

    @property
    def kind(self) -> str:
        return self._tokens[self._place][0]

    @property
    def value(self) -> str:
        return self._tokens[self._place][1]

    def _next(self) -> str:
        value = self.value
        self._place += 1
        return value

    def _expect(self, sign: str) -> None:
        if self._next() != sign:
            raise FormulaError(f"Syntax error. Missing '{sign}'")

    def either(self) -> Node:
        parts = [self._both()]
        while self.value == "||":
            self._next()
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else _any(parts)

    def _both(self) -> Node:
        parts = [self._compared()]
        while self.value == "&&":
            self._next()
            parts.append(self._compared())
        return parts[0] if len(parts) == 1 else _all(parts)

    def _compared(self) -> Node:
        left = self._single()
        if self.value in _COMPARISONS and self.kind == "sign":
            compare, right = _COMPARISONS[self._next()], self._single()
            return lambda scope: compare(left(scope), right(scope))
        return left

    def _single(self) -> Node:
        kind, value = self.kind, self._next()
        if kind == "merge":
            return _merge(value)
        if kind == "text":
            literal = re.sub(r"\\(.)", r"\1", value[1:-1])
            return lambda scope: literal
        if kind == "number":
            return lambda scope: float(value)
        if kind == "word":
            return self._word(value.upper())
        if value == "!":
            inner = self._single()
            return lambda scope: not inner(scope)
        if value == "(":
            inner = self.either()
            self._expect(")")
            return inner
        raise FormulaError(f"Syntax error. Found '{value}'")

    def _word(self, name: str) -> Node:
        if self.value != "(":
            if name not in ("TRUE", "FALSE", "NULL"):
                raise FormulaError(f"Field {name} does not exist. Check spelling.")
            constant = {"TRUE": True, "FALSE": False, "NULL": None}[name]
            return lambda scope: constant
        self._next()
        first, arguments = self._tokens[self._place], []
        while self.value != ")":
            arguments.append(self.either())
            if self.value != ")":
                self._expect(",")
        self._next()
        if name in ("ISCHANGED", "PRIORVALUE"):
            return _before(name, first)
        if name not in _FUNCTIONS:
            raise FormulaError(f"Unknown function {name}. Check spelling.")
        fewest, most, make = _FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise FormulaError(f"Incorrect number of parameters for function '{name}()'")
        return make(arguments)


def _merge(path: str) -> Node:
    where, _, name = path.partition(".")
    if where == "Permission":
        return lambda scope: scope.permission(name)
    if where == "Record":
        return lambda scope: scope.new.get(name)
    return lambda scope: scope.old.get(name)


def _before(name: str, argument: tuple[str, str]) -> Node:
    if argument[0] != "merge" or not argument[1].startswith("Record."):
        raise FormulaError(f"Incorrect argument for function '{name}()': a field is needed")
    field = argument[1].partition(".")[2]
    if name == "PRIORVALUE":
        return lambda scope: scope.old.get(field)
    return lambda scope: not scope.created and scope.old.get(field) != scope.new.get(field)


def _all(parts: list[Node]) -> Node:
    return lambda scope: all(part(scope) for part in parts)


def _any(parts: list[Node]) -> Node:
    return lambda scope: any(part(scope) for part in parts)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    if left is None or right is None:
        return left in (None, "") and right in (None, "")
    return bool(left == right)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": _same,
    "==": _same,
    "<>": lambda a, b: not _same(a, b),
    "!=": lambda a, b: not _same(a, b),
    "<": lambda a, b: a is not None and b is not None and a < b,
    "<=": lambda a, b: a is not None and b is not None and a <= b,
    ">": lambda a, b: a is not None and b is not None and a > b,
    ">=": lambda a, b: a is not None and b is not None and a >= b,
}
_FUNCTIONS: dict[str, tuple[int, int, Callable[[list[Node]], Node]]] = {
    "AND": (1, 99, _all),
    "OR": (1, 99, _any),
    "NOT": (1, 1, lambda given: lambda scope: not given[0](scope)),
    "ISNEW": (0, 0, lambda given: lambda scope: scope.created),
    "ISBLANK": (1, 1, lambda given: lambda scope: given[0](scope) in (None, "")),
    "ISPICKVAL": (2, 2, lambda given: lambda scope: _same(given[0](scope), given[1](scope))),
    "TEXT": (1, 1, lambda given: lambda scope: str(given[0](scope) or "")),
}
