"""The line on top of every page: groups of pages in the order of the work, and only what the person may open.

The invariant: it is built from the list of pages that Django has made already and from rights that are read already,
so it costs no query of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

FIRST = ("Flow", "SyncRun", "Change", "EntityLink", "SyncLogEntry", "WorkerHeartbeat")
"""The order of the work; what is not named here follows by name."""

SEES = "sync.view_change"
"""Opens the pages that are no list of one model."""

GROUPS: tuple[tuple[Promise | None, tuple[tuple[str, Promise | None, str], ...]], ...] = (
    (None, (("review", gettext_lazy("Review"), SEES),)),
    (
        pgettext_lazy("group of pages", "Work"),
        (
            ("Flow", None, ""),
            ("SyncRun", None, ""),
            ("Change", None, ""),
            ("EntityLink", gettext_lazy("Records"), ""),
            ("SyncLogEntry", None, ""),
            ("RouteMove", None, ""),
            ("WorkerHeartbeat", None, ""),
        ),
    ),
    (
        gettext_lazy("Mappings"),
        (
            ("MappingSet", None, ""),
            ("ValueMap", None, ""),
            ("RoutingRule", None, ""),
            ("CustomSource", None, ""),
        ),
    ),
    (
        gettext_lazy("Proof"),
        (
            ("reconcile", gettext_lazy("Reconciliation"), SEES),
            ("month_end", gettext_lazy("Month end"), SEES),
            ("shadow_list", gettext_lazy("Shadow mode"), SEES),
        ),
    ),
    (
        gettext_lazy("Set-up"),
        (
            ("path", gettext_lazy("Guided path"), "integrations.view_integration"),
            ("Integration", None, ""),
            ("ConnectedAccount", None, ""),
            ("Organization", None, ""),
            ("User", None, ""),
            ("notices", gettext_lazy("Notices"), SEES),
        ),
    ),
)
"""Groups of pages: a model's name, or the address of a page with its words and the right that opens it."""

ALSO = {
    "SyncRun": ("match",),
    "EntityLink": ("record", "ownership"),
    "MappingSet": ("lab",),
    "reconcile": ("shadow",),
}
"""Pages that stand under an entry without its address, by the first word of their name."""


@dataclass(frozen=True, slots=True)
class Item:
    """One page."""

    name: str
    url: str
    current: bool


@dataclass(slots=True)
class Menu:
    """One group; a group without a name stands as single pages in the line."""

    name: str
    items: list[Item] = field(default_factory=list)

    @property
    def current(self) -> bool:
        """Whether the page that is open is one of them."""
        return any(item.current for item in self.items)


@dataclass(frozen=True, slots=True)
class Navigation:
    """What stands on top of a page: its menus, where the search asks, and the crumbs of lists."""

    menus: list[Menu]
    search: str
    term: str


def navigation(request: HttpRequest, rooms: list[dict[str, Any]]) -> Navigation | None:
    """The menus of this person; None for somebody who is not signed in."""
    if not rooms and not request.user.is_authenticated:
        return None
    pages = {model["object_name"]: model for room in rooms for model in room["models"] if model["admin_url"]}
    home = reverse("admin:index")
    menus = [Menu("", [Item(_("Home"), home, request.path == home)])]
    for name, entries in GROUPS:
        items = [item for entry in entries if (item := _item(request, pages, *entry)) is not None]
        if not items:
            continue
        if name is None:
            menus[0].items += items
        else:
            menus.append(Menu(str(name), items))
    return Navigation(menus, _address("search") if _may(request, SEES) else "", request.GET.get("q", ""))


def _item(request: HttpRequest, pages: Mapping[str, Any], key: str, words: Promise | None, right: str) -> Item | None:
    if not right:
        page = pages.get(key)
        if page is None:
            return None
        name, url = str(words or page["name"]), page["admin_url"]
    else:
        url = _address(key)
        if not url or not _may(request, right):
            return None
        name = str(words)
    return Item(name[:1].upper() + name[1:], url, request.path.startswith(url) or _kind(request) in ALSO.get(key, ()))


def _kind(request: HttpRequest) -> str:
    match = request.resolver_match
    return (match.url_name or "").split("_")[0] if match is not None else ""


def _may(request: HttpRequest, right: str) -> bool:
    return bool(getattr(request.user, "has_perm", lambda label: False)(right))


def _address(name: str) -> str:
    try:
        return reverse(f"admin:{name}")
    except NoReverseMatch:
        return ""


def place(order: tuple[str, ...], name: str) -> int:
    """Where a name stands in an order; behind all when it is not in it."""
    return order.index(name) if name in order else len(order)
