"""What a run asked of the two systems, in words: by system, record and whether it read or wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from django.utils.translation import gettext as _

from integrations.models import System
from mappings import presets
from sync.admin import show

_READS = ("list", "get", "search", "read", "query", "describe", "properties", "groups", "retrieve", "scan")
_WRITES = ("create", "update", "upsert", "delete", "archive", "associate", "patch", "insert", "merge", "write")


def calls_in_words(stored: Mapping[str, int]) -> list[dict[str, str]]:
    """Rows of what was called and how often, most first; `codes` are the calls as the log names them."""
    counts: Counter[str] = Counter()
    codes: dict[str, list[str]] = {}
    for call, n in sorted(stored.items()):
        words = _words(call)
        counts[words] += n
        codes.setdefault(words, []).append(f"{call}: {n}")
    return [
        {"words": words, "count": show.number(n), "codes": ", ".join(codes[words])} for words, n in counts.most_common()
    ]


def _words(call: str) -> str:
    system, _space, kind = call.partition(" ")
    names = dict(System.choices)
    name, dot, how = kind.rpartition(".")
    if any(word in how for word in _WRITES):
        what = _("writing")
    elif any(word in how for word in _READS):
        what = _("reading")
    else:
        what = _("other calls")
    thing = ", ".join(presets.shown_object(part) for part in name.split(".")) if dot else ""
    return " · ".join(str(part) for part in (names.get(system, system), thing, what) if part)
