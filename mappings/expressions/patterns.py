"""A small regular-expression engine whose time is bounded by construction.

The standard engine backtracks, so a short pattern can run for hours; this one walks all alternatives in step (Pike's
algorithm) and counts its steps. The invariant: matching costs at most `MAX_STEPS` steps, or a `MappingError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from django.utils.translation import gettext as _

from mappings.expressions.errors import MappingError

MAX_PATTERN = 200
MAX_INPUT = 2_000
MAX_PROGRAM = 1_000
MAX_STEPS = 50_000
MAX_REPEAT = 100

Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Step:
    """One instruction: `char` consumes, `split` and `jump` go on, `save` notes a position, `start`/`end` anchor."""

    kind: str
    test: Test | None = None
    to: int = 0
    other: int = 0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern."""

    program: tuple[_Step, ...]
    groups: int

    def fits(self, text: str) -> bool:
        """Whether the pattern is found; a text too long to be read does not fit."""
        return len(text) <= MAX_INPUT and _Search(self.program, text).run() is not None

    def extract(self, text: str) -> str | None:
        """The first group of the first match, the whole match if there is no group; None without a match."""
        if len(text) > MAX_INPUT:
            raise MappingError(
                _("regex_extract() reads at most %(limit)d characters") % {"limit": MAX_INPUT},
                _("Shorten the text first, with truncate() or split()."),
            )
        found = _Search(self.program, text).run()
        if found is None:
            return None
        start, end = (found.get(2), found.get(3)) if self.groups else (found[0], found[1])
        return None if start is None or end is None else text[start:end]


class _Search:
    """One run of a program over a text. Threads are kept in order of preference, one per instruction."""

    def __init__(self, program: tuple[_Step, ...], text: str) -> None:
        self.program = program
        self.text = text
        self.steps = 0

    def run(self) -> dict[int, int] | None:
        """The saved positions of the best match."""
        best: dict[int, int] | None = None
        current: list[tuple[int, dict[int, int]]] = []
        for position in range(len(self.text) + 1):
            if best is None:
                seen = {pc for pc, _saved in current}
                self._follow(0, {}, position, current, seen)
            if not current:
                return best
            following: list[tuple[int, dict[int, int]]] = []
            seen = set()
            for pc, saved in current:
                self._count()
                step = self.program[pc]
                if step.kind == "match":
                    best = saved
                    break
                if position < len(self.text) and step.test is not None and step.test(self.text[position]):
                    self._follow(pc + 1, saved, position + 1, following, seen)
            current = following
        return best

    def _count(self) -> None:
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise MappingError(_("The pattern takes too long on this text"), _("Make the pattern or the text simpler."))

    def _follow(
        self,
        pc: int,
        saved: dict[int, int],
        position: int,
        threads: list[tuple[int, dict[int, int]]],
        seen: set[int],
    ) -> None:
        """Adds the consuming instructions reachable from `pc`, preferred ones first."""
        stack = [(pc, saved)]
        while stack:
            pc, saved = stack.pop()
            self._count()
            if pc in seen:
                continue
            seen.add(pc)
            step = self.program[pc]
            if step.kind == "jump":
                stack.append((step.to, saved))
            elif step.kind == "split":
                stack += [(step.other, saved), (step.to, saved)]
            elif step.kind == "save":
                stack.append((pc + 1, {**saved, step.to: position}))
            elif step.kind == "start":
                if position == 0:
                    stack.append((pc + 1, saved))
            elif step.kind == "end":
                if position == len(self.text):
                    stack.append((pc + 1, saved))
            else:
                threads.append((pc, saved))


@lru_cache(maxsize=500)
def compile_pattern(source: str) -> Pattern:
    """The compiled pattern; raises ValueError with what is wrong."""
    if len(source) > MAX_PATTERN:
        raise ValueError(_("The pattern is longer than %(limit)d characters") % {"limit": MAX_PATTERN})
    parser = _Parser(source)
    body = parser.alternatives()
    if parser.at < len(source):
        raise ValueError(_("The pattern has a “)” too many"))
    program = (_Step("save", to=0), *body, _Step("save", to=1), _Step("match"))
    return Pattern(tuple(program), parser.groups)


class _Parser:
    """Recursive descent over the pattern; every method gives instructions with addresses relative to their start,
    made absolute by `_move`. The program starts at 1, after the first save."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.groups = 0

    def _peek(self) -> str:
        return self.source[self.at] if self.at < len(self.source) else ""

    def _take(self) -> str:
        character = self._peek()
        if not character:
            raise ValueError(_("The pattern ends too early"))
        self.at += 1
        return character

    def alternatives(self) -> list[_Step]:
        """`a|b|c`, placed at address 1."""
        return _move(self._choice(), 1)

    def _choice(self) -> list[_Step]:
        branch = self._sequence()
        if self._peek() != "|":
            return branch
        self.at += 1
        rest = self._choice()
        split = _Step("split", to=1, other=len(branch) + 2)
        jump = _Step("jump", to=len(branch) + 2 + len(rest))
        return _checked([split, *_move(branch, 1), jump, *_move(rest, len(branch) + 2)])

    def _sequence(self) -> list[_Step]:
        steps: list[_Step] = []
        while self._peek() and self._peek() not in "|)":
            steps += _move(self._repeat(self._atom()), len(steps))
            _checked(steps)
        return steps

    def _atom(self) -> list[_Step]:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return [_Step("char", self._class())]
        if character == ".":
            return [_Step("char", lambda c: c != "\n")]
        if character in "^$":
            return [_Step("start" if character == "^" else "end")]
        if character == "\\":
            return [_Step("char", self._escape())]
        if character in "*+?{":
            raise ValueError(_("“%s” has nothing to repeat") % character)
        return [_Step("char", character.__eq__)]

    def _group(self) -> list[_Step]:
        if self.source.startswith("?", self.at):
            if not self.source.startswith("?:", self.at):
                raise ValueError(_("Look-around and named groups are not part of the language"))
            self.at += 2
            number = None
        else:
            self.groups += 1
            number = self.groups
        inner = self._choice()
        if self._peek() != ")":
            raise ValueError(_("A “)” is missing in the pattern"))
        self.at += 1
        if number is None:
            return inner
        return [_Step("save", to=2 * number), *_move(inner, 1), _Step("save", to=2 * number + 1)]

    def _escape(self) -> Test:
        character = self._take()
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            raise ValueError(_("“\\%s” is not part of the language") % character)
        return character.__eq__

    def _class(self) -> Test:
        negated = self._peek() == "^"
        self.at += negated
        tests: list[Test] = []
        first = True
        while first or self._peek() != "]":
            first = False
            character = self._take()
            if character == "\\":
                tests.append(self._escape())
            elif self._peek() == "-" and self.source[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                tests.append(_between(character, self._take()))
            else:
                tests.append(character.__eq__)
        self.at += 1
        return lambda c: any(test(c) for test in tests) != negated

    def _repeat(self, atom: list[_Step]) -> list[_Step]:
        mark = self._peek()
        bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(mark)
        if bounds is not None:
            self.at += 1
        elif mark == "{":
            bounds = self._braces()
        else:
            return atom
        lazy = self._peek() == "?"
        self.at += lazy
        if self._peek() and self._peek() in "*+?{":
            raise ValueError(_("“%s” has nothing to repeat") % self._peek())
        return _expand(atom, *bounds, lazy=lazy)

    def _braces(self) -> tuple[int, int | None]:
        end = self.source.find("}", self.at)
        low, comma, high = self.source[self.at + 1 : end].partition(",") if end > 0 else ("", "", "")
        if not low.isdecimal() or (high and not high.isdecimal()):
            raise ValueError(_("A repetition is written {2} or {2,5}"))
        self.at = end + 1
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if least > MAX_REPEAT or (most is not None and not least <= most <= MAX_REPEAT):
            raise ValueError(_("A repetition goes up to %(limit)d") % {"limit": MAX_REPEAT})
        return least, most


def _between(low: str, high: str) -> Test:
    if low > high or high == "\\":
        raise ValueError(_("The range “%(low)s-%(high)s” is empty") % {"low": low, "high": high})
    return lambda c: low <= c <= high


def _expand(atom: list[_Step], least: int, most: int | None, *, lazy: bool) -> list[_Step]:
    steps: list[_Step] = []
    for _number in range(least):
        steps += _move(atom, len(steps))
        _checked(steps)
    if most is None:
        loop = len(steps)
        steps.append(_split(loop + 1, loop + len(atom) + 2, lazy))
        steps += [*_move(atom, loop + 1), _Step("jump", to=loop)]
    else:
        end = len(steps) + (most - least) * (len(atom) + 1)
        for _number in range(most - least):
            steps.append(_split(len(steps) + 1, end, lazy))
            steps += _move(atom, len(steps))
            _checked(steps)
    return _checked(steps)


def _split(onward: int, out: int, lazy: bool) -> _Step:
    return _Step("split", to=out, other=onward) if lazy else _Step("split", to=onward, other=out)


def _move(steps: list[_Step], by: int) -> list[_Step]:
    """The same instructions at an address further on."""
    return [_Step(s.kind, s.test, s.to + by, s.other + by) if s.kind in ("jump", "split") else s for s in steps]


def _checked(steps: list[_Step]) -> list[_Step]:
    if len(steps) > MAX_PROGRAM:
        raise ValueError(_("The pattern is too large"))
    return steps


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"


_ESCAPES: dict[str, Test] = {
    "d": str.isdecimal,
    "D": lambda c: not c.isdecimal(),
    "w": _word,
    "W": lambda c: not _word(c),
    "s": str.isspace,
    "S": lambda c: not c.isspace(),
    "n": "\n".__eq__,
    "t": "\t".__eq__,
}
