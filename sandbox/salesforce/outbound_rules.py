"""Which outbound messages a change sends: the record-triggered flows of an org, and the messages they name.

A flow starts when its entry condition holds after the save. Users whose profile does not send outbound messages start
none; the fields of a message are those its integration user may see."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .metadata_store import deployed, holds_permission
from .metadata_zip import listed
from .org import Event, Org
from .outbound_formula import FormulaError, Scope, parse

TRIGGERS = {"Create": ("create",), "Update": ("update",), "CreateAndUpdate": ("create", "update")}


@dataclass(frozen=True, slots=True)
class Message:
    """An outbound message's definition; ``user`` is the user name whose view decides the fields."""

    name: str
    object: str
    endpoint: str
    fields: tuple[str, ...]
    user: str
    version: str = "67.0"


def message_of(name: str, body: Mapping[str, Any]) -> Message:
    """A deployed definition."""
    fields = dict.fromkeys(["Id", *(str(entry) for entry in listed(body.get("fields")))])
    return Message(
        name,
        name.partition(".")[0],
        str(body.get("endpointUrl", "")),
        tuple(fields),
        str(body.get("integrationUser", "")),
        str(body.get("apiVersion") or "67.0"),
    )


def messages(org: Org) -> dict[str, Message]:
    """Every deployed outbound message by its full name."""
    return {name: message_of(name, body) for name, body in deployed(org).of("WorkflowOutboundMessage").items()}


def started(org: Org, event: Event) -> Iterator[Message]:
    """The messages that an event sends."""
    known = messages(org)
    for body in deployed(org).of("Flow").values():
        if body.get("status") == "Active" and _starts(org, body.get("start") or {}, event):
            for call in listed(body.get("actionCalls")):
                message = known.get(str(call.get("actionName")))
                if call.get("actionType") == "outboundMessage" and message is not None:
                    yield message


def _starts(org: Org, start: Mapping[str, Any], event: Event) -> bool:
    if str(start.get("object")) != event.object or start.get("triggerType") != "RecordAfterSave":
        return False
    if event.action not in TRIGGERS.get(str(start.get("recordTriggerType")), ()):
        return False
    scope = Scope(event.old, event.new, lambda name: holds_permission(org, event.user, name))
    holds = meets(start, scope)
    if holds and start.get("doesRequireRecordChangedToMeetCriteria") == "true" and event.old:
        return not meets(start, Scope({}, event.old, scope.permission))
    return holds


def meets(start: Mapping[str, Any], scope: Scope) -> bool:
    """Whether a record meets a flow's entry condition; one without conditions always does."""
    if start.get("filterFormula"):
        try:
            return bool(parse(str(start["filterFormula"]))(scope))
        except FormulaError:
            return False
    found = [_filter(entry, scope) for entry in listed(start.get("filters"))]
    return any(found) if start.get("filterLogic") == "or" else all(found)


def _filter(entry: Mapping[str, Any], scope: Scope) -> bool:
    name, operator = str(entry.get("field")), entry.get("operator")
    wanted = next(iter((entry.get("value") or {}).values()), None)
    value = scope.new.get(name)
    if operator == "IsChanged":
        return not scope.created and (scope.old.get(name) != value) == (wanted == "true")
    if operator == "IsNull":
        return (value is None) == (wanted == "true")
    shown = str(value).lower() if isinstance(value, bool) else value
    return (shown == wanted) == (operator == "EqualTo")
