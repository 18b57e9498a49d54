"""Texts that are translated when they are read, not when they are made.

A problem found by a worker is read by people in English and Swedish, so its message must stay translatable, values
included. `_` marks the text, `say` binds the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.utils.functional import lazy
from django.utils.translation import gettext_lazy


def _(text: str) -> str:
    """The text in the reader's language, whenever it is read."""
    return cast(str, gettext_lazy(text))


def _render(text: str, values: Mapping[str, Any]) -> str:
    return str(text) % values


def say(text: str, values: Mapping[str, object]) -> str:
    """The text with its values filled in, in the reader's language, whenever it is read."""
    rendered: str = _LAZY_RENDER(text, values)
    return rendered


_LAZY_RENDER = lazy(_render, str)
