"""Texts about a person, wherever they stand: where they may be, taking them out, and saying what stays.

`erasure` decides who is meant; here is one text after the other. The invariants: a text is replaced as a whole word at
any depth, whatever its case; evidence and what was signed keep it, and that is said; no table is held in memory.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from sync import finding
from sync.models import CardTicket, Change, SearchKey
from sync.retention import evidence, kept_until
from sync.states import OPEN

TOMBSTONE = "[erased]"

PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "sync.EntityLink",
        ("title", "agreed_crm", "agreed_ledger", "sent_crm", "sent_ledger", "former", "frozen_reason"),
    ),
    ("sync.SyncLogEntry", ("message", "exchange")),
    ("sync.ReviewNote", ("text",)),
    ("sync.RouteMove", ("title", "before", "reason")),
    ("sync.FieldPause", ("reason", "fight")),
    ("sync.Notice", ("params",)),
    ("sync.MatchDecision", ("source_title", "target_title")),
    ("sync.ReconciliationDocument", ("title", "customer")),
    ("sync.ReconciliationLine", ("title",)),
    ("sync.ReconciliationLine", ("explanation",)),
    ("sync.ShadowLine", ("source_title", "target_title", "differences")),
    ("mappings.GoldenSample", ("name", "note", "data", "expected")),
    ("mappings.HistoricalGoldenSample", ("name", "note", "expected")),
    ("mappings.EditorSample", ("title", "data")),
)
"""Where a text about a person may stand, besides changes. A model that is not installed is passed over."""

_WAYS = {
    "sync.ReconciliationDocument": "reconciliation__integration_id",
    "sync.ReconciliationLine": "reconciliation__integration_id",
    "sync.ShadowLine": "report__integration_id",
    "mappings.EditorSample": "mapping_set__integration_id",
}
"""How a row leads to its integration, where it has no column for it."""

_CHANGE = (
    "source_title", "target_title", "claim", "error_message", "error_value", "actor", "diff", "payload", "agreed",
    "candidates", "checks", "problems", "edits", "reason", "dismissed_reason",
)  # fmt: skip
_NAMES = ("source_title", "target_title", "actor")
"""What may go of evidence: names in our own lists. The document's own content is the evidence."""


@dataclass(slots=True)
class Kept:
    """Something that stays: what, why, and the last day where there is one."""

    what: str
    why: str
    until: str = ""


@dataclass(slots=True)
class Report:
    """What was (or would be) erased, by kind; what stays; and what people must do elsewhere."""

    erased: Counter[str] = field(default_factory=Counter)
    kept: list[Kept] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    """Which records are read no more."""

    def as_data(self) -> dict[str, Any]:
        """The report for machines."""
        kept = [{"what": row.what, "why": row.why, "until": row.until} for row in self.kept]
        return {
            "erased": dict(self.erased), "stopped": self.stopped, "kept": kept, "elsewhere": self.elsewhere,
        }  # fmt: skip


def everywhere(needles: Sequence[str], integrations: Sequence[int], report: Report) -> None:
    """Take the texts out of every table of these integrations, and note in the report what went and what stays."""
    for label, names in PLACES:
        try:
            model = apps.get_model(label)
        except LookupError:
            continue
        rows = model._base_manager.filter(**{f"{_WAYS.get(label, 'integration_id')}__in": integrations})
        if names == ("explanation",):
            _keep_signed(rows.filter(reconciliation__signed_at__isnull=False), names, needles, report)
            rows = rows.filter(reconciliation__signed_at=None)
        if label == "sync.SyncLogEntry":
            rows = rows.exclude(pk__in=rows.filter(evidence("change__"), change__isnull=False).values("pk"))
        report.erased[str(model._meta.verbose_name_plural)] += _scrub(rows, model, names, needles)
    rows = Change.objects.filter(integration_id__in=integrations)
    proofs = rows.filter(evidence())
    _keep_proofs(proofs, needles, report)
    report.erased["names of evidence"] += _scrub(proofs, Change, _NAMES, needles)
    plain = rows.exclude(pk__in=proofs.values("pk")).exclude(state__in=OPEN)
    report.erased["changes"] += _scrub(plain, Change, _CHANGE, needles)
    for change in _holding(rows.filter(state__in=OPEN).exclude(pk__in=proofs.values("pk")), Change, _CHANGE, needles):
        report.kept.append(Kept(f"change {change.pk}", _("It is still open. Dismiss it or let it end, then erase.")))
    keys = Q()
    for needle in needles:
        keys |= Q(value__in={finding.name_key(needle), finding.number_key(needle), finding.organization_key(needle)})
    gone, _details = SearchKey.objects.filter(keys, integration_id__in=integrations).delete()
    report.erased["search keys"] += gone
    gone, _details = CardTicket.objects.filter(user_email__in=needles).delete()
    report.erased["card tickets"] += gone


def _keep_proofs(proofs: Any, needles: Sequence[str], report: Report) -> None:
    said = {kept.what for kept in report.kept}
    for change in _holding(proofs, Change, [name for name in _CHANGE if name not in _NAMES], needles):
        what = _("change %(number)s and its exchanges: document %(document)s") % {
            "number": change.pk, "document": change.target_id or change.remote_reference,
        }  # fmt: skip
        if what not in said:
            until = kept_until(change.finished_at or change.updated_at)
            why = _("Accounting evidence. The name is removed from our lists, not from the document.")
            report.kept.append(Kept(what, why, until.isoformat()))


def _keep_signed(lines: Any, names: Sequence[str], needles: Sequence[str], report: Report) -> None:
    """What a person signed is sealed; the database itself refuses to change it."""
    signed = {row.reconciliation_id for row in _holding(lines, lines.model, names, needles)}
    for pk in sorted(signed):
        why = _("It was signed off, and cannot be changed any more.")
        report.kept.append(Kept(_("reconciliation %(number)s") % {"number": pk}, why))


def _scrub(rows: Any, model: type[models.Model], names: Sequence[str], needles: Sequence[str]) -> int:
    """Replace the texts in these fields; returns how many rows had one."""
    count = 0
    for row in _holding(rows, model, names, needles):
        values = {name: replaced(getattr(row, name), needles) for name in names}
        model._base_manager.filter(pk=row.pk).update(**values)
        count += 1
    return count


def _holding(rows: Any, model: type[models.Model], names: Sequence[str], needles: Sequence[str]) -> list[Any]:
    """Rows with one of the texts in one of the fields. Encrypted fields cannot be searched: all their rows are read."""
    wanted, casts = Q(), {}
    hidden = [name for name in names if type(model._meta.get_field(name)).__name__ == "EncryptedTextField"]
    for name in names:
        casts[f"as_text_{name}"] = Cast(name, models.TextField())
        for needle in needles:
            for spelling in {needle, json.dumps(needle)[1:-1]}:
                wanted |= Q(**{f"as_text_{name}__icontains": spelling})
    found = rows.annotate(**casts).filter(wanted) if not hidden else rows
    found = found.iterator(chunk_size=500)  # a log of millions is not held in memory
    return [row for row in found if any(replaced(getattr(row, n), needles) != getattr(row, n) for n in names)]


def replaced(value: Any, needles: Sequence[str]) -> Any:
    """The value with each text replaced, at any depth, whatever its case; not inside of another word."""
    if isinstance(value, str):
        texts = "|".join(map(re.escape, needles))
        return re.sub(rf"(?<!\w)(?:{texts})(?!\w)", TOMBSTONE, value, flags=re.IGNORECASE)
    if isinstance(value, list):
        return [replaced(item, needles) for item in value]
    if isinstance(value, dict):
        return {key: replaced(item, needles) for key, item in value.items()}
    return value
