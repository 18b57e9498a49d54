"""The names that presets give to flows and mappings, in the reader's language.

What is stored is the preset's own English name; it is translated when it is shown. A name that somebody chose is shown
as it was written.
"""

from __future__ import annotations

import re
from functools import cache
from string import Template

from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import gettext, override

from mappings.presets import texts, texts_salesforce

_OWN = texts.NAMES | texts_salesforce.NAMES
_LABEL = "${label}"
_RENAMED = {"Name and postcode": "Name and postal code"}
"""Names of rules in mappings that were made by earlier presets."""


def shown(name: str) -> str:
    """`name` in the reader's language when it is a preset's own name, else as it is. For a name that a template made,
    in whatever language it was made, the words around the object's label."""
    if name in _OWN:
        return gettext(name)
    for pattern, template in _templates():
        if found := pattern.fullmatch(name):
            return Template(gettext(template)).safe_substitute(label=found["label"])
    return name


def shown_object(name: str) -> str:
    """What people call a remote object: `line_item` is a line item, in the reader's language where it is known."""
    return (gettext(name) if name in texts.OBJECTS else name).replace("_", " ")


def shown_rule(name: str) -> str:
    """What a match rule is called, in the reader's language when it is a preset's own."""
    name = _RENAMED.get(name, name)
    return gettext(name) if name in texts.RULES else name


shown_rule_lazy = lazy(shown_rule, str)
shown_lazy = lazy(shown, str)
"""As `shown`, decided when it is read: for sentences that are stored in every language."""


def stored(words: str) -> list[str]:
    """The stored names that read like `words` in the reader's language: what a search for them has to find."""
    wanted = words.strip().casefold()
    return sorted(name for name in _OWN if wanted in gettext(name).casefold()) if wanted else []


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """The templates of names as patterns, in every language of the product."""
    found = []
    for template in sorted(name for name in _OWN if _LABEL in name):
        for code, _name in settings.LANGUAGES:
            with override(code):
                before, after = gettext(template).split(_LABEL)
            found.append((re.compile(f"{re.escape(before)}(?P<label>.+){re.escape(after)}"), template))
    return found
