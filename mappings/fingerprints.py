"""The hash by which irrelevant edits of a source record are told from those that a mapping reads (SA5)."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

from integrations.connector import Record, Value
from mappings.compiled import CompiledMapping
from mappings.expressions import is_blank, key_of, text_of


def fingerprint(mapping: CompiledMapping, record: Record) -> str:
    """A stable hash of the mapping's version and of the source fields that it reads, lines included.

    A change of any other field leaves it as it was, so irrelevant edits plan nothing (SA5). Numbers are hashed by
    value (10.0 is 10) and empty text as no value.
    """
    named = record.named()
    seen = {
        part: {name: _canonical(named.get(part, {}).get(name)) for name in sorted(names)}
        for part, names in sorted(mapping.reads.items())
        if part != mapping.line_part
    }
    wanted = sorted(mapping.reads.get(mapping.line_part, ())) if mapping.line_part else []
    lines = [[_canonical(line.get(name)) for name in wanted] for line in record.lines] if wanted else []
    text = json.dumps([mapping.version_id, seen, lines], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Value) -> list[str] | None:
    if is_blank(value):
        return None
    return [type(value).__name__, key_of(value) if isinstance(value, Decimal) else text_of(value)]
