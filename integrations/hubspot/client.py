"""HubSpot's REST interface, one method a call, on the dated paths. Knows paths, sizes and bodies; nothing of records.

Source: HubSpot's documentation and interface description of version 2026-09. The official client library still calls
older versions and costs a dozen times the processor time per call. Upserts, updates by id and associations may be
repeated freely; only plain creates are marked as writes that must not be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from integrations.errors import Misconfigured, TooLarge
from integrations.hosts import path_key
from integrations.http import Api, Call, Reply

VERSION = "2026-09"
BATCH = 100
LIST_PAGE = 100
SEARCH_PAGE = 200
SEARCH_CAP = 10_000
SEARCH_BODY = 3_000
ASSOCIATION_READ = 1_000
ASSOCIATION_WRITE = 2_000

PLURALS: Mapping[str, str] = {
    "company": "companies",
    "contact": "contacts",
    "deal": "deals",
    "product": "products",
    "line_item": "line_items",
}
TYPE_IDS: Mapping[str, str] = {
    "contact": "0-1",
    "company": "0-2",
    "deal": "0-3",
    "product": "0-7",
    "line_item": "0-8",
}


def plural(name: str) -> str:
    """The object's name in paths; raises `Misconfigured` for one we do not know."""
    try:
        return PLURALS[name]
    except KeyError:
        raise Misconfigured(f"HubSpot has no object {name!r}", code="unknown_object") from None


def results_of(reply: Reply) -> list[Mapping[str, Any]]:
    """The `results` of an answer. Raises `TooLarge` when they are not a list of objects."""
    results = reply.data.get("results") if isinstance(reply.data, Mapping) else None
    if not isinstance(results, list) or not all(isinstance(row, Mapping) for row in results):
        raise TooLarge("HubSpot sent an answer without results", code="unreadable")
    for row in results:
        sound(row)
    return results


_TEXTS = ("id", "name", "label", "type", "value")


def sound(row: object) -> Mapping[str, Any]:
    """The object, if its names and values are what HubSpot sends: text. Raises `TooLarge` before a list or number is
    taken for an id and stored."""
    if not isinstance(row, Mapping):
        raise TooLarge("HubSpot sent something that is no object", code="unreadable")
    for key in _TEXTS:
        if not isinstance(row.get(key), str | int | None):
            raise TooLarge(f"HubSpot sent {str(row[key])[:80]!r} as {key}", code="unreadable", field=key)
    given = row.get("properties")
    if isinstance(given, Mapping) and not all(isinstance(value, str | None) for value in given.values()):
        raise TooLarge("HubSpot sent property values that are no text", code="unreadable", record=str(row.get("id")))
    for nested in ("options", "stages"):
        for entry in row.get(nested) or ():
            sound(entry)
    return row


def after_of(data: Mapping[str, Any]) -> str:
    """The cursor of the next page; "" on the last."""
    following = (data.get("paging") or {}).get("next") or {}
    return str(following.get("after") or "")


class HubSpot:
    """The calls of one portal."""

    def __init__(self, api: Api) -> None:
        self.api = api

    @staticmethod
    def objects(name: str, tail: str = "") -> str:
        return f"/crm/objects/{VERSION}/{plural(name)}{tail}"

    # --- Objects ----------------------------------------------------------------------------------------------

    def list_call(self, name: str, properties: Sequence[str], after: str = "") -> Call:
        """A page of 100 of every live record, by id: the only complete walk, without search's cap."""
        params = {"limit": str(LIST_PAGE), "properties": ",".join(properties), **({"after": after} if after else {})}
        return Call("GET", self.objects(name), params=params, kind=f"{name}.list")

    def search_call(self, name: str, body: Mapping[str, Any]) -> Call:
        """A search; it has a budget of its own and an index that lags."""
        return Call("POST", self.objects(name, "/search"), json=body, bucket="search", kind=f"{name}.search")

    def read_one(self, name: str, key: str, properties: Sequence[str], associated: Sequence[str]) -> Mapping[str, Any]:
        """One record with the ids of what it is associated with; the labels are not in the answer."""
        params = {"properties": ",".join(properties), "associations": ",".join(map(plural, associated))}
        path = self.objects(name, f"/{path_key(key)}")
        return sound(self.api.call("GET", path, params=params, kind=f"{name}.get").data)

    def read_call(self, name: str, ids: Sequence[str], properties: Sequence[str], id_property: str = "") -> Call:
        """Up to 100 records by id or by a unique property."""
        body: dict[str, Any] = {"properties": list(properties), "inputs": [{"id": key} for key in ids]}
        if id_property:
            body["idProperty"] = id_property
        return Call("POST", self.objects(name, "/batch/read"), json=body, kind=f"{name}.batch_read")

    def write_call(self, name: str, action: str, inputs: Sequence[Mapping[str, Any]]) -> Call:
        """Up to 100 creates, updates or upserts. Only a create must not be repeated."""
        return Call(
            "POST",
            self.objects(name, f"/batch/{action}"),
            json={"inputs": list(inputs)},
            write=action == "create",
            kind=f"{name}.batch_{action}",
        )

    def create(self, name: str, properties: Mapping[str, str]) -> Mapping[str, Any]:
        """One record without a unique key: not repeatable."""
        reply = self.api.call(
            "POST", self.objects(name), json={"properties": properties}, write=True, kind=f"{name}.create"
        )
        data: Mapping[str, Any] = reply.data
        return data

    def archive_call(self, name: str, ids: Sequence[str]) -> Call:
        """Up to 100 records into the recycle bin; unknown ones are passed over."""
        inputs = [{"id": key} for key in ids]
        return Call(
            "POST",
            self.objects(name, "/batch/archive"),
            json={"inputs": inputs},
            empty_ok=True,
            kind=f"{name}.batch_archive",
        )

    # --- Associations -----------------------------------------------------------------------------------------

    @staticmethod
    def _associations(source: str, target: str, tail: str) -> str:
        return f"/crm/associations/{VERSION}/{plural(source)}/{plural(target)}{tail}"

    def associations_call(self, source: str, target: str, inputs: Sequence[Mapping[str, str]]) -> Call:
        """What up to 1,000 records are associated with; a record with nothing is an error entry of a 207."""
        path = self._associations(source, target, "/batch/read")
        return Call("POST", path, json={"inputs": list(inputs)}, kind=f"{source}.{target}.read")

    def associate_call(
        self, source: str, target: str, pairs: Sequence[tuple[str, str]], type_ids: Sequence[int]
    ) -> Call:
        """Associate up to 2,000 pairs with HubSpot's own types; repeatable."""
        types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": t} for t in type_ids]
        inputs = [{"from": {"id": a}, "to": {"id": b}, **({"types": types} if types else {})} for a, b in pairs]
        tail = "/batch/create" if types else "/batch/associate/default"
        path = self._associations(source, target, tail)
        return Call("POST", path, json={"inputs": inputs}, empty_ok=True, kind=f"{source}.{target}.associate")

    # --- Properties, pipelines, account -----------------------------------------------------------------------

    def properties(self, name: str) -> list[Mapping[str, Any]]:
        """Every property of an object, in one answer."""
        return results_of(self.api.call("GET", f"/crm/properties/{VERSION}/{plural(name)}", kind=f"{name}.properties"))

    def create_property(self, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A new property; 409 when it exists, an archived one of the name is restored."""
        path = f"/crm/properties/{VERSION}/{plural(name)}"
        data: Mapping[str, Any] = self.api.call("POST", path, json=body, kind=f"{name}.property_create").data
        return data

    def groups(self, name: str) -> list[Mapping[str, Any]]:
        """The property groups of an object."""
        path = f"/crm/properties/{VERSION}/{plural(name)}/groups"
        return results_of(self.api.call("GET", path, kind=f"{name}.groups"))

    def create_group(self, name: str, group: str, label: str) -> None:
        """A new property group."""
        path = f"/crm/properties/{VERSION}/{plural(name)}/groups"
        self.api.call("POST", path, json={"name": group, "label": label}, kind=f"{name}.group_create")

    def pipelines(self, name: str) -> list[Mapping[str, Any]]:
        """The pipelines of an object with their stages."""
        return results_of(self.api.call("GET", f"/crm/pipelines/{VERSION}/{plural(name)}", kind="pipelines"))

    def create_pipeline(self, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A new pipeline; labels are unique, so a repeated create is refused rather than doubled."""
        path = f"/crm/pipelines/{VERSION}/{plural(name)}"
        return sound(self.api.call("POST", path, json=body, kind="pipeline_create").data)

    def create_stage(self, name: str, pipeline: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """A new stage at a pipeline."""
        path = f"/crm/pipelines/{VERSION}/{plural(name)}/{path_key(pipeline)}/stages"
        return sound(self.api.call("POST", path, json=body, kind="stage_create").data)

    def account(self) -> Mapping[str, Any]:
        """Portal id, currencies, time zone and the host of its pages."""
        data = self.api.call("GET", f"/account-info/{VERSION}/details", kind="account").data
        if not isinstance(data, Mapping) or not isinstance(data.get("companyCurrency"), str | None):
            raise TooLarge("HubSpot sent account details that cannot be read", code="unreadable")
        if "portalId" not in data:
            raise TooLarge("HubSpot sent no account details", code="unreadable")
        return data
