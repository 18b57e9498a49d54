"""Query locators: what is left to fetch of a result that did not fit into one answer.

Salesforce: a cursor is usable for two days, by the user who opened it; afterwards, or for an id that never was one, the
answer is INVALID_QUERY_LOCATOR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import SfError
from .held import PerOrg
from .soql.plan import Plan

if TYPE_CHECKING:
    from .org import Org

LIFETIME_MS = 2 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Cursor:
    """A result: the ids found, in order, and how they are shown. ``resource`` is query or queryAll."""

    id: str
    user_id: str
    resource: str
    opened: int
    plan: Plan
    ids: tuple[str, ...]


_OPEN: PerOrg[dict[str, Cursor]] = PerOrg(dict)


def open_cursor(org: Org, user_id: str, resource: str, plan: Plan, ids: tuple[str, ...]) -> Cursor:
    """Keep a result; those whose time is up are forgotten."""
    held = _OPEN.of(org)
    now = org.now_ms()
    for key in [key for key, cursor in held.items() if cursor.opened + LIFETIME_MS < now]:
        del held[key]
    cursor = Cursor(org.ids.new("0r8"), user_id, resource, now, plan, ids)
    held[cursor.id] = cursor
    return cursor


def find_cursor(org: Org, user_id: str, locator: str) -> tuple[Cursor, int]:
    """The cursor and the position that a locator such as ``0r8…-2000`` names; 400 when there is none."""
    key, dash, position = locator.partition("-")
    cursor = _OPEN.of(org).get(key)
    if cursor is None or cursor.user_id != user_id or cursor.opened + LIFETIME_MS < org.now_ms():
        raise invalid_locator()
    start = int(position) if position.isdecimal() else 0
    if (dash and not position.isdecimal()) or start > len(cursor.ids):
        raise invalid_locator()
    return cursor, start


def invalid_locator() -> SfError:
    """400: no such cursor, or not any more."""
    return SfError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
