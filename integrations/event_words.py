"""What an event says, in words: every vendor spells it in its own way, people only want to know what happened."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

_WORDS: tuple[tuple[str, Promise], ...] = (
    ("merge", _("merged")),
    ("delet", _("deleted")),
    ("creat", _("created")),
    ("restore", _("restored")),
    ("change", _("changed")),
    ("update", _("changed")),
    ("message", _("changed")),
)
"""Parts of the vendors' names of events. A message of Salesforce says only that a record is to be read again."""


def event_word(kind: str) -> str:
    """`propertyChange` is a change; a kind of which nothing is known as it was spelled."""
    folded = kind.casefold()
    return next((str(word) for part, word in _WORDS if part in folded), kind)
