"""GET /query and /queryAll: a query's first page, and the next ones by their locator.

Salesforce REST guide: a page holds 2,000 records unless ``Sforce-Query-Options: batchSize`` asks for fewer (200 at
least), and the rows of sub-selects count towards it; queryAll also finds what is in the recycle bin."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .call import Answer, Call
from .cursors import Cursor, find_cursor, open_cursor
from .errors import not_found
from .soql.checker import check
from .soql.layout import Child
from .soql.plan import Plan
from .soql.tokens import malformed
from .table import Row

SMALLEST, LARGEST = 200, 2_000
BATCH_SIZE = re.compile(r"\bbatchSize\s*=\s*(\d+)", re.IGNORECASE)


def route(call: Call) -> Answer:
    """Answer ``query``, ``queryAll`` and their locators."""
    call.allow("GET")
    if len(call.parts) == 2:
        return Answer(200, _next_page(call, call.parts[1]))
    if len(call.parts) != 1:
        raise not_found()
    text = call.query.get("q")
    if text is None:
        raise malformed("A query string has to be specified")
    return Answer(200, run(call, text, call.parts[0]))


def run(call: Call, text: str, resource: str = "query") -> dict[str, Any]:
    """The first page of a query; ``resource`` is ``query`` or ``queryAll``."""
    plan = check(call.org, call.user_id, text, include_deleted=resource == "queryAll")
    if plan.count:
        return {"totalSize": len(plan.rows()), "done": True, "records": []}
    if plan.grouping is not None:
        records = plan.aggregates()
        return {"totalSize": len(records), "done": True, "records": records}
    ids = tuple(row.id for row in plan.rows())
    return _Page(call, plan, ids, resource, batch_size(call)).body(0)


def batch_size(call: Call) -> int:
    """Records per page, from the header, within what the service allows."""
    found = BATCH_SIZE.search(call.headers.get("Sforce-Query-Options", ""))
    return LARGEST if found is None else max(SMALLEST, min(LARGEST, int(found[1])))


def _next_page(call: Call, locator: str) -> dict[str, Any]:
    cursor, start = find_cursor(call.org, call.user_id, locator)
    return _Page(call, cursor.plan, cursor.ids, cursor.resource, batch_size(call), cursor).body(start)


@dataclass(slots=True)
class _Page:
    """One page of a result; the cursor is opened when a second page is needed."""

    call: Call
    plan: Plan
    ids: tuple[str, ...]
    resource: str
    size: int
    cursor: Cursor | None = None
    shown: int = 0  # records on this page, those of sub-selects included

    def body(self, start: int) -> dict[str, Any]:
        """The JSON of the page that begins at a position."""
        records: list[dict[str, Any]] = []
        position = start
        table = self.call.org.rows[self.plan.scope.object.name]
        while position < len(self.ids) and (self.shown < self.size or not records):
            row = table.get(self.ids[position])
            position += 1
            if row is not None:  # gone for good since the query
                self.shown += 1
                records.append(self._record(self.plan, row))
        return self._result(len(self.ids), records, position)

    def _record(self, plan: Plan, row: Row) -> dict[str, Any]:
        return plan.layout.show(plan.scope, row, self.call.version, self._children)

    def _children(self, child: Child, parent: Row) -> dict[str, Any] | None:
        """The rows of a sub-select; null when there are none, a locator of their own when they are too many."""
        rows = child.plan.below(child.lookup, parent)
        if not rows:
            return None
        records = [self._record(child.plan, row) for row in rows[: self.size]]
        self.shown += len(records)
        if len(records) == len(rows):
            return {"totalSize": len(rows), "done": True, "records": records}
        ids = tuple(row.id for row in rows)
        inner = _Page(self.call, child.plan, ids, self.resource, self.size)
        return inner._result(len(rows), records, len(records))

    def _result(self, total: int, records: list[dict[str, Any]], position: int) -> dict[str, Any]:
        if position >= len(self.ids):
            return {"totalSize": total, "done": True, "records": records}
        if self.cursor is None:
            self.cursor = open_cursor(self.call.org, self.call.user_id, self.resource, self.plan, self.ids)
        url = f"{self.call.data}/{self.resource}/{self.cursor.id}-{position}"
        return {"totalSize": total, "done": False, "nextRecordsUrl": url, "records": records}
