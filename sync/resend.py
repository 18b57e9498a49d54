"""Sending a refused payload again, as it was or with values that a person edited (Q-08).

`repair.retry` plans the record again from its source as it is now; this sends what was planned then. The invariant: a
payload is sent again only when nothing of it can have been carried out: the refusal was definite, and no search ever
found a document with its reference. An outcome that is unknown is verified by the engine, never sent from here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.catalogue import find
from integrations.connector import FieldSchema, Value
from integrations.errors import ErrorClass
from integrations.models import Integration
from mappings.coercion import coerce
from mappings.expressions import MappingError
from mappings.models import LinkRule
from mappings.schemas import load_schema
from sync import queue
from sync.models import Change, Flow
from sync.states import Action, State, move
from sync.values import dump, load, show

DEFINITE = frozenset(
    {ErrorClass.DATA, ErrorClass.CONFIGURATION, ErrorClass.PERMISSION, ErrorClass.CONFLICT, ErrorClass.MISSING}
)
"""Refusals after which certainly nothing was written."""

OURS = frozenset({ErrorClass.DATA, ErrorClass.CONFIGURATION})
"""As `DEFINITE`, for codes that we gave ourselves: those found the payload wrong before it was sent. Our conflicts and
missing records are about what may be there already (a reference that is taken, a document that differs)."""


def certainly_nothing(error_class: str, code: str) -> bool:
    """Whether this refusal means that nothing of the payload was carried out."""
    ours = None if code.isdigit() else find("", code)
    if ours is None:
        return error_class in DEFINITE
    return error_class in OURS and ours.error_class in OURS


def may_resend(change: Change) -> bool:
    """Whether the payload of `change` may be sent again as it stands."""
    return (
        change.state == State.REVIEW
        and change.action in (Action.CREATE, Action.UPDATE, Action.LINK)
        and bool(change.payload.get("fields") or change.payload.get("lines"))
        and certainly_nothing(change.error_class, change.error_code)
        and not (change.action == Action.CREATE and change.target_id)
        and not any(look.get("hits") for look in change.verifications)
    )


def needs_approval(change: Change, names: Mapping[str, Value] | None = None) -> bool:
    """Whether sending it is an approval too: the flow is approved by hand, or an amount was edited."""
    flow = change.flow
    by_hand = flow.first_run_pending or flow.approval == Flow.Approval.ALWAYS
    observing = change.integration.mode != Integration.Mode.LIVE
    money = {name for name in (flow.amount_field, flow.currency_field) if name} & set(names or ())
    return by_hand or observing or bool(money)


@dataclass(frozen=True, slots=True)
class Editable:
    """One header field of the payload as the form shows it."""

    name: str
    label: str
    text: str
    schema: FieldSchema | None
    fixed: bool

    @property
    def long(self) -> bool:
        """Whether it wants more than one line."""
        return len(self.text) > 80 or "\n" in self.text

    @property
    def max_length(self) -> int | None:
        """The longest text that the target takes, if it says."""
        return self.schema.max_length if self.schema else None


def editable(change: Change) -> list[Editable]:
    """The header fields of the payload. Our own key, lists of values, and whom it is for (its link decides that) are
    shown, and may not be edited."""
    account = change.integration.account(change.flow.target_side)
    stored = account.schemas.get(change.flow.target_object)
    fields = load_schema(stored["schema"]).fields if stored else {}
    unique = (change.payload.get("unique") or [""])[0]
    linked = LinkRule.objects.filter(mapping_set_id=change.mapping_set_id).exclude(target_field="")
    fixed = {unique, *linked.values_list("target_field", flat=True)}
    rows = []
    for name, data in sorted(change.payload.get("fields", {}).items()):
        value, schema = load(data), fields.get(name)
        label = schema.label if schema and schema.label else name
        text = ("true" if value else "false") if isinstance(value, bool) else show(value)
        rows.append(Editable(name, label, text, schema, name in fixed or isinstance(value, list)))
    return rows


def read_edits(change: Change, given: Mapping[str, str]) -> tuple[dict[str, Value], dict[str, str]]:
    """(values that differ from the payload, problems by field) of a submitted form. Blank stands for "no value"."""
    edits: dict[str, Value] = {}
    problems: dict[str, str] = {}
    for row in editable(change):
        text = given.get(row.name, row.text).replace("\r\n", "\n").replace("\x00", "").strip()
        if row.fixed or text == row.text.strip():
            continue
        try:
            edits[row.name] = _typed(text, row, load(change.payload["fields"][row.name]))
        except (MappingError, ValueError, ArithmeticError) as error:
            problems[row.name] = str(getattr(error, "message", "")) or _("This is not a value of the right kind.")
    return edits, problems


def _typed(text: str, row: Editable, before: Value) -> Value:
    if not text:
        return None
    if row.schema is not None:
        return coerce(text, row.schema)
    if isinstance(before, bool):
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if isinstance(before, date):  # or a moment, which is a date too
        return type(before).fromisoformat(text)
    return Decimal(text) if isinstance(before, Decimal) else text


def request_hash(change: Change) -> str:
    """The hash of what is sent: reference and payload. The same request has the same hash."""
    text = json.dumps([change.remote_reference, change.payload], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def resend(change: Change, edits: Mapping[str, Value], user: Any) -> None:
    """Queue `change` with its payload as it stands, or with `edits`; the difference is kept with it.

    Raises `ValueError` when it may not be sent again.
    """
    with transaction.atomic():
        fresh = Change.objects.select_for_update().get(pk=change.pk)
        if not may_resend(fresh):
            raise ValueError(_("It cannot be sent again as it is: something of it may exist, or it moved on."))
        before = request_hash(fresh)
        fields = dict(fresh.payload.get("fields", {}))
        fresh.edits = dict(fresh.edits)
        for name, value in edits.items():
            first = fresh.edits.get(name, {}).get("before", fields.get(name))
            fields[name] = dump(value)
            fresh.edits[name] = {"before": first, "after": fields[name]}
        fresh.payload = {**fresh.payload, "fields": fields}
        who = user or "command"
        what = f"edited by {who}: {', '.join(sorted(edits))}" if edits else f"sent again as planned by {who}"
        now = timezone.now()
        moved = move(
            Change.objects.filter(pk=fresh.pk, state=State.REVIEW),
            State.QUEUED,
            message=f"{what}; request {before[:12]} → {request_hash(fresh)[:12]}",
            user=user,
            payload=fresh.payload,
            edits=fresh.edits,
            diff=[_diff_row(row, fields) if row.get("field") in edits else row for row in fresh.diff],
            core_fingerprint="",  # the person chose what was planned then, whatever the source says by now
            replan=False,
            attempts=0,
            due_at=now,
            approved_by=user,
            approved_at=now,
        )
        if not moved:
            raise ValueError(_("It moved on in the meantime."))
        queue.kick(queue.BULK)


def _diff_row(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "after": fields[row["field"]]}
