"""What can go wrong with an expression: when it is written (`ExpressionError`) and when it runs (`MappingError`).

The invariant: both say in plain words what is wrong and what to do; nothing else leaves this package.
"""

from __future__ import annotations

from django.utils.translation import gettext as _


class ExpressionError(ValueError):
    """The expression cannot be accepted. `position` is the character it is about, counted from 0."""

    def __init__(self, message: str, position: int | None = None, expected: str = "") -> None:
        self.message = message
        self.position = position
        self.expected = expected
        super().__init__(message)

    def __str__(self) -> str:
        text = self.message
        if self.position is not None:
            text = _("%(message)s (at character %(position)d)") % {
                "message": self.message,
                "position": self.position + 1,
            }
        return f"{text}. {self.expected}" if self.expected else f"{text}."


class MappingError(Exception):
    """A valid expression met a value it cannot work with. `remedy` says what a person can do about it."""

    def __init__(self, message: str, remedy: str = "", *, code: str = "expression", value: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.value = value[:500]
