"""Personal numbers on pages and in files for people: a sole trader's organisation number is one, so its end is masked.

The invariant: a company's number and everything else is shown as it is, and two values that look the same once they are
masked are said to differ. What a person edits to be sent again (`sync.resend`) is not masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from sync.cards.words import organisation
from sync.finding import organization_key

_TELEPHONE = re.compile(r"phone|mobile|fax", re.IGNORECASE)
"""Names of fields whose numbers may look like personal numbers and are none."""


def discreet(stored: Any, field: str = "") -> Any:
    """A stored value as it may be shown: the last digits of a personal number are nobody's business here."""
    if isinstance(stored, str) and not _TELEPHONE.search(field) and organization_key(stored):
        return organisation(stored)
    return stored


def discreet_json(stored: Any, field: str = "") -> Any:
    """As `discreet`, for every text inside stored JSON; what has a type (`sync.values`) is no text."""
    if isinstance(stored, Mapping):
        if "$" in stored:
            return stored
        return {name: discreet_json(value, str(name)) for name, value in stored.items()}
    if isinstance(stored, list):
        return [discreet_json(value, field) for value in stored]
    return discreet(stored, field)


def hidden(before: Any, after: Any, field: str = "") -> str:
    """In what two values differ that look the same once they are masked; "" for all others."""
    masked = discreet(after, field)
    if before == after or masked == after or discreet(before, field) != masked:
        return ""
    other = organization_key(str(before)) != organization_key(str(after))
    return _("the hidden digits differ") if other else _("written differently")
