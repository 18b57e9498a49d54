"""The log's messages in the reader's language.

The engine writes them in English, once, for whoever keeps the log; a page translates those it knows when it is read.
What repeats the step that stands beside it is left out; what nobody translated is shown as it was written.
"""

from __future__ import annotations

import re
from functools import cache

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from sync.models import Change

REPEATS = frozenset({"delivered", "sending", "done"})
"""Says no more than the states of the same line."""

PHRASES = frozenset(
    {
        _("what it waited for is there"),
        _("tried again"),
        _("changed at the target meanwhile"),
        _("the record is gone at its source"),
        _("the sender died"),
        _("not found twice: sent once more"),
        _("nobody pressed for a day"),
        _("the flow's settings changed"),
        _("looked again: nothing left to do"),
        _("planned again: nothing left to do"),
        _("approved by the flow's policy"),
        _("{who} asked to put back what change {number} replaced"),
        _("replaced by run {number}"),
        _("pressed by {who}"),
        _("approved by {who}"),
        _("retried by {who}"),
        _("linked by {who}"),
        _("dismissed by {who}: {reason}"),
        _("{what}, says {who}"),
        _("decision taken back, says {who}"),
    }
)
"""What the engine says, with the places of what changes."""
_PLACE = re.compile(r"\\{(\w+)\\}")


def said(message: str, change: Change | None = None) -> str:
    """`message` as the reader understands it; `change`, where it is at hand, says its own error in every language."""
    if message in REPEATS:
        return ""
    if message in PHRASES:
        return gettext(message)
    if change is not None and (known := _of(change, message)):
        return known
    for pattern, phrase in _patterns():
        if found := pattern.fullmatch(message):
            return gettext(phrase).format(**{name: _word(name, part) for name, part in found.groupdict().items()})
    return message


def _of(change: Change, message: str) -> str:
    """What the change itself says in every language, when the message is that; else ""."""
    if change.error_message and message.startswith(change.error_message[:200]):
        return change.error_text
    return change.reason_text if message and message == change.reason.get("en") else ""


def _word(name: str, part: str) -> str:
    """A part of a phrase; what somebody decided has a name in every language."""
    return gettext(part) if name == "what" else part


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    return [
        (re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(phrase)), re.DOTALL), phrase)
        for phrase in sorted(PHRASES)
        if "{" in phrase
    ]
