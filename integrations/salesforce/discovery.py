"""Which objects an org has, for people who want invoices from one of their own: the describes, in neutral words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from integrations.connector import Connector
from integrations.discovery import FoundLines, FoundObject, FoundReference, FoundShape
from integrations.http import Api
from integrations.models import ConnectedAccount, CustomSource
from integrations.salesforce import ids, soql
from integrations.salesforce.client import Salesforce
from integrations.salesforce.connector import SalesforceConnector
from integrations.salesforce.described import Catalogue, Described
from integrations.salesforce.layouts import KNOWN, layout_from

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_POINTS_AT: Mapping[str, str] = {"Account": "account", "Contact": "contact", "User": "owner"}
_NOT_LINES = ("History", "Feed", "Share", "ChangeEvent", "Tag", "Event", "Relation")
"""Ends of the names of objects that Salesforce keeps beside every object."""
_READ_ANYWAY = frozenset(layout.remote for layout in KNOWN.values())
"""What has flows of its own: two flows of one record would be strangers to each other, and invoice it twice."""


class SalesforceDiscovery:
    """See `integrations.discovery.Discovery`."""

    taken = frozenset(KNOWN)
    read_anyway = frozenset(remote.lower() for remote in _READ_ANYWAY)

    def __init__(self, account: ConnectedAccount) -> None:
        self.account = account
        self._api = Api(account, lane="interactive")
        self._client = Salesforce(self._api)
        self._catalogue = Catalogue(self._client)

    def objects(self) -> list[FoundObject]:
        """One call: the list of all objects (Salesforce's REST guide: Describe Global)."""
        listed = self._client.objects().get("sobjects")
        rows = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
        found = [
            FoundObject(str(row["name"]), str(row.get("label") or row["name"])[:100], row.get("custom") is True)
            for row in rows
            if NAME.fullmatch(str(row.get("name") or ""))
            and row.get("queryable") is True
            and not str(row["name"]).endswith(_NOT_LINES)
            and row.get("customSetting") is not True
            and row["name"] not in _READ_ANYWAY
        ]
        return sorted(found, key=lambda each: (not each.own, each.label.casefold(), each.name))

    def shape(self, remote: str) -> FoundShape:
        """One describe, kept for an hour like all of them, and the list of all objects, which names the lines."""
        own = self._catalogue.get(remote)
        called = {each.name: each.label for each in self.objects()}
        lines = [
            FoundLines(relationship, child, called.get(child, child))
            for relationship, (child, _field) in own.children.items()
            if not child.endswith(_NOT_LINES)
        ]
        return FoundShape(remote, own.label, self._name(own), lines, self._references(own))

    def _name(self, own: Described) -> str:
        """`Service_Order__c` becomes `service_order`; a name of ours is never taken."""
        plain = re.sub(r"(__c)$", "", own.name)
        snake = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()).strip("_")[:26]
        name = snake if re.match(r"[a-z]", snake) else f"own_{snake}"
        return f"{name}_own" if name in self.taken else name

    @staticmethod
    def _references(own: Described) -> list[FoundReference]:
        found = []
        for name, field in own.fields.items():
            to = next((_POINTS_AT[each] for each in ("User", *field.references) if each in field.references
                       and each in _POINTS_AT), "")  # fmt: skip
            if field.relationship and field.references:
                found.append(FoundReference(name, field.schema.label, to))
        return found

    def reader(self, source: CustomSource) -> Connector:
        """A connector of the interactive lane that asks the org anew: our fields may just have been deployed."""
        self._catalogue.forget([source.remote_object, source.line_object, *_POINTS_AT])
        connector = SalesforceConnector(self._api)
        connector.know(layout_from(source))
        return connector

    def newest(self, remote: str, limit: int = 10) -> list[tuple[str, str]]:
        """One query."""
        own = self._catalogue.get(remote)
        title = own.title if own.title in own.fields else "Id"
        query = soql.select(sorted({"Id", title}), remote, order="SystemModstamp DESC", limit=limit)
        rows = self._client.query(query, kind="examples.query")
        return [(ids.to18(str(row.get("Id"))), str(row.get(title) or row.get("Id"))[:200]) for row in rows]
