"""Sentences that are stored with a change, in every language of the product.

A plan is made by a worker, long before somebody reads it; so each sentence is built lazily and rendered once per
language when it is stored. The invariant: what a Swedish bookkeeper reads says the same as what support reads.
"""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.utils import translation
from django.utils.functional import Promise
from django.utils.text import format_lazy


def say(template: str | Promise, **params: object) -> Any:
    """A lazy sentence: `template` (from gettext_lazy) with `{name}` places filled by `params`."""
    return format_lazy(cast(str, template), **params)


def in_every_language(*sentences: object) -> dict[str, str]:
    """The sentences, joined by spaces, per language code."""
    texts: dict[str, str] = {}
    for code, _name in settings.LANGUAGES:
        with translation.override(code):
            texts[code] = " ".join(filter(None, (str(sentence) for sentence in sentences)))
    return texts


def in_this_language(texts: dict[str, str]) -> str:
    """The text for the active language, else English; "" when there is none."""
    code = (translation.get_language() or "en").split("-")[0]
    return texts.get(code) or texts.get("en", "")
