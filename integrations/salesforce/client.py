"""Salesforce's REST interface, one method a call. Knows paths, sizes, headers and bodies; nothing of records.

Source: Salesforce's REST and Bulk API 2.0 guides, at the version that the settings pin. A method whose name ends in
`_call` only prepares the call, so that several may be under way at once; the others send. Updates, upserts by our own
unique key and deletes may be repeated freely; only plain creates are marked as writes that must not be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from integrations.errors import TooLarge
from integrations.hosts import path_key
from integrations.http import Api, Call, Reply

SYSTEM = "salesforce"
PAGE = 2_000
"""Rows of a query page: the largest that Salesforce gives; child rows count too, so it may give fewer."""
SMALLEST_PAGE = 200
COLLECTION = 200
"""Records of one collection write."""
TYPE_CHUNKS = 10
"""Changes of object type within one collection write."""
RETRIEVED = 2_000
COMPOSITE = 25
"""Parts of one composite call, of which at most `COMPOSITE_HEAVY` may be queries or collections."""
COMPOSITE_HEAVY = 5
LONGEST_URL = 8_000
"""Characters of an address; Salesforce refuses above 16,384 bytes with all headers, proxies on the way earlier."""
LONGEST_SOQL = 100_000

# Named in logs and in the origin of change events, by which an echo of our own write is known.
_ALWAYS = {"Sforce-Call-Options": "client=Ledgerbridge"}
# A rule that only warns of a duplicate lets the record pass; assignment rules would give it to somebody else; what the
# integration touched is nothing that its user "recently viewed".
_WRITING = {
    **_ALWAYS,
    "Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=false; runAsCurrentUser=false",
    "Sforce-Auto-Assign": "FALSE",
    "Sforce-Mru": "updateMru=false",
}
_NEXT = re.compile(r"/(query(?:All)?/[A-Za-z0-9-]{1,100})\Z", re.IGNORECASE)
_CSV = {**_ALWAYS, "Content-Type": "text/csv; charset=UTF-8"}


@dataclass(frozen=True, slots=True)
class Rows:
    """One page of a query. `total` is what the whole query has; `following` continues it, "" on the last page."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    following: str


def rows_of(data: object) -> Rows:
    """The page in an answer, or in a child subquery that has rows. Raises `TooLarge` when it is none."""
    rows = data.get("records") if isinstance(data, Mapping) else None
    total = data.get("totalSize") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(rows, list) or not isinstance(total, int):
        raise TooLarge("Salesforce sent an answer without records", code="unreadable")
    if not all(isinstance(row, Mapping) for row in rows):
        raise TooLarge("Salesforce sent a record that is no object", code="unreadable")
    if data.get("done") is True:
        return Rows(rows, total, "")
    found = _NEXT.search(str(data.get("nextRecordsUrl") or ""))
    if not found:  # a page that is not the last must say where the next one is, or rows would be lost
        raise TooLarge("Salesforce sent a page without the address of the next", code="unreadable")
    return Rows(rows, total, found[1])


def object_of(reply: Reply) -> Mapping[str, Any]:
    """The JSON object of an answer. Raises `TooLarge` when it is none."""
    if not isinstance(reply.data, Mapping):
        raise TooLarge("Salesforce sent something that is no object", code="unreadable")
    return reply.data


def list_of(reply: Reply) -> list[Any]:
    """The JSON array of an answer. Raises `TooLarge` when it is none."""
    if not isinstance(reply.data, list):
        raise TooLarge("Salesforce sent something that is no list", code="unreadable")
    return reply.data


class Salesforce:
    """The calls of one org."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.version: str = settings.VENDORS[SYSTEM]["version"]
        self.base = f"/services/data/{self.version}"

    # --- What there is ----------------------------------------------------------------------------------------

    def versions(self) -> list[Any]:
        """The API versions that the org's server speaks: `{label, url, version}` each."""
        return list_of(self.api.call("GET", "/services/data/", headers=_ALWAYS, kind="versions"))

    def objects(self) -> Mapping[str, Any]:
        """Every object that our user may see, without fields."""
        return object_of(self.api.call("GET", f"{self.base}/sobjects/", headers=_ALWAYS, kind="objects"))

    def describe_call(self, name: str) -> Call:
        """An object with its fields, as our user may see them."""
        path = f"{self.base}/sobjects/{path_key(name)}/describe"
        return Call("GET", path, headers=_ALWAYS, kind=f"{name}.describe")

    def limits(self) -> Mapping[str, Any]:
        """What is left of the org's allocations, by name: `{Max, Remaining}`."""
        return object_of(self.api.call("GET", f"{self.base}/limits", headers=_ALWAYS, kind="limits"))

    def user_info(self) -> Mapping[str, Any]:
        """Whom we work as: `user_id`, `organization_id`, `name`."""
        return object_of(self.api.call("GET", "/services/oauth2/userinfo", headers=_ALWAYS, kind="userinfo"))

    # --- Queries ----------------------------------------------------------------------------------------------

    def query_call(self, soql: str, *, deleted: bool = False, batch: int = PAGE, kind: str = "query") -> Call:
        """The first page of a query; with `deleted` also of rows in the recycle bin."""
        resource = "queryAll" if deleted else "query"
        headers = {**_ALWAYS, "Sforce-Query-Options": f"batchSize={batch}"}
        return Call("GET", f"{self.base}/{resource}/", params={"q": soql}, headers=headers, kind=kind)

    def following_call(self, following: str, *, batch: int = PAGE, kind: str = "query") -> Call:
        """The page that `Rows.following` names; usable for two days."""
        headers = {**_ALWAYS, "Sforce-Query-Options": f"batchSize={batch}"}
        return Call("GET", f"{self.base}/{following}", headers=headers, kind=kind)

    def query(self, soql: str, *, kind: str = "query") -> list[Mapping[str, Any]]:
        """Every row of a query, over all its pages."""
        page = rows_of(self.api.do(self.query_call(soql, kind=kind)).data)
        rows = list(page.rows)
        while page.following:
            page = rows_of(self.api.do(self.following_call(page.following, kind=kind)).data)
            rows += page.rows
        return rows

    # --- Single records ---------------------------------------------------------------------------------------

    def create_call(self, name: str, fields: Mapping[str, Any]) -> Call:
        """One record without a key of ours: not repeatable. 201 `{id, success, errors}`."""
        path = f"{self.base}/sobjects/{path_key(name)}"
        return Call("POST", path, json=dict(fields), headers=_WRITING, write=True, kind=f"{name}.create")

    def update_call(self, name: str, key: str, fields: Mapping[str, Any], *, unchanged_since: str = "") -> Call:
        """One record by id, 204; `unchanged_since` (an RFC 1123 date) makes it 412 when it changed later."""
        headers = {**_WRITING, **({"If-Unmodified-Since": unchanged_since} if unchanged_since else {})}
        path = f"{self.base}/sobjects/{path_key(name)}/{path_key(key)}"
        return Call("PATCH", path, json=dict(fields), headers=headers, empty_ok=True, kind=f"{name}.update")

    def upsert_call(self, name: str, key_field: str, value: str, fields: Mapping[str, Any]) -> Call:
        """One record by our unique key, which must not be among `fields`; 201 created, 200 or 204 updated."""
        path = f"{self.base}/sobjects/{path_key(name)}/{path_key(key_field)}/{path_key(value)}"
        return Call("PATCH", path, json=dict(fields), headers=_WRITING, empty_ok=True, kind=f"{name}.upsert")

    def delete_call(self, name: str, key: str) -> Call:
        """One record into the recycle bin (line items skip it); 404 when it is gone already."""
        path = f"{self.base}/sobjects/{path_key(name)}/{path_key(key)}"
        return Call("DELETE", path, headers=_WRITING, empty_ok=True, kind=f"{name}.delete")

    # --- Up to 200 records at a time --------------------------------------------------------------------------

    def _collection(
        self, method: str, tail: str, records: Sequence[Mapping[str, Any]], whole: bool, **more: Any
    ) -> Call:
        body = {"allOrNone": whole, "records": list(records)}
        return Call(method, f"{self.base}/composite/sobjects{tail}", json=body, headers=_WRITING, **more)

    def create_many_call(self, name: str, records: Sequence[Mapping[str, Any]], *, whole: bool = False) -> Call:
        """Plain creates, each with `attributes.type`; `whole`: all or none. Not repeatable."""
        return self._collection("POST", "", records, whole, write=True, kind=f"{name}.create_many")

    def update_many_call(self, name: str, records: Sequence[Mapping[str, Any]], *, whole: bool = False) -> Call:
        """Updates, each with `attributes.type` and `id`."""
        return self._collection("PATCH", "", records, whole, kind=f"{name}.update_many")

    def upsert_many_call(
        self, name: str, key_field: str, records: Sequence[Mapping[str, Any]], *, whole: bool = False
    ) -> Call:
        """Upserts of one object by our unique key, which is inside each record; no key twice in one call."""
        tail = f"/{path_key(name)}/{path_key(key_field)}"
        return self._collection("PATCH", tail, records, whole, kind=f"{name}.upsert_many")

    def delete_many_call(self, name: str, ids: Sequence[str], *, whole: bool = False) -> Call:
        """Deletes by id; those that are gone come back with an error of their own."""
        params = {"ids": ",".join(ids), "allOrNone": "true" if whole else "false"}
        path = f"{self.base}/composite/sobjects"
        return Call("DELETE", path, params=params, headers=_WRITING, kind=f"{name}.delete_many")

    def retrieve_call(self, name: str, ids: Sequence[str], fields: Sequence[str]) -> Call:
        """Up to 2,000 records by id; null in the place of one that is not there."""
        path = f"{self.base}/composite/sobjects/{path_key(name)}"
        body = {"ids": list(ids), "fields": list(fields)}
        return Call("POST", path, json=body, headers=_ALWAYS, kind=f"{name}.retrieve")

    def composite_call(self, parts: Sequence[Mapping[str, Any]], *, whole: bool, write: bool, kind: str) -> Call:
        """Up to 25 parts in order, one call of the allocation; `whole`: all or none. `write`: not repeatable.

        Each part is `{method, url, referenceId, body?, httpHeaders?}`; `url` starts with `base`.
        """
        body = {"allOrNone": whole, "collateSubrequests": False, "compositeRequest": list(parts)}
        return Call("POST", f"{self.base}/composite", json=body, headers=_WRITING, write=write, kind=kind)

    # --- Bulk API 2.0 -----------------------------------------------------------------------------------------

    def create_job_call(self, job: str, body: Mapping[str, Any]) -> Call:
        """A new job; `job` is "ingest" or "query". One that was made twice is only idle, so it may be repeated."""
        return Call("POST", f"{self.base}/jobs/{job}", json=dict(body), headers=_ALWAYS, kind=f"{job}.job_create")

    def job_call(self, job: str, key: str) -> Call:
        """The state of a job."""
        return Call("GET", f"{self.base}/jobs/{job}/{path_key(key)}", headers=_ALWAYS, kind=f"{job}.job")

    def upload_call(self, key: str, csv: str) -> Call:
        """The rows of an ingest job, once per job: CSV with LF, at most 100 MB."""
        path = f"{self.base}/jobs/ingest/{path_key(key)}/batches"
        return Call("PUT", path, text=csv, headers=_CSV, empty_ok=True, kind="ingest.upload")

    def close_job_call(self, job: str, key: str, state: str = "UploadComplete") -> Call:
        """Tell that all rows are there ("UploadComplete"), or end the job ("Aborted")."""
        path = f"{self.base}/jobs/{job}/{path_key(key)}"
        return Call("PATCH", path, json={"state": state}, headers=_ALWAYS, kind=f"{job}.job_{state.lower()}")

    def delete_job_call(self, job: str, key: str) -> Call:
        """Remove a finished job with its results."""
        path = f"{self.base}/jobs/{job}/{path_key(key)}"
        return Call("DELETE", path, headers=_ALWAYS, empty_ok=True, kind=f"{job}.job_delete")

    def ingest_results_call(self, key: str, which: str) -> Call:
        """CSV of "successfulResults", "failedResults" or "unprocessedrecords"."""
        path = f"{self.base}/jobs/ingest/{path_key(key)}/{which}/"
        return Call("GET", path, headers={**_ALWAYS, "Accept": "text/csv"}, plain=True, kind=f"ingest.{which}")

    def query_results_call(self, key: str, *, locator: str = "", rows: int = 50_000) -> Call:
        """A part of a query job's CSV; the header `Sforce-Locator` continues it, the text "null" ends it."""
        params = {"maxRecords": str(rows), **({"locator": locator} if locator else {})}
        path = f"{self.base}/jobs/query/{path_key(key)}/results"
        headers = {**_ALWAYS, "Accept": "text/csv"}
        return Call("GET", path, params=params, headers=headers, plain=True, kind="query.results")
