"""Links between records. Each is kept in both directions, as HubSpot does, with the type ids of its labels.

The invariant: whenever A→B carries a type, B→A carries its inverse; the unlabelled type is always among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .kinds import COMPANIES, CONTACTS, DEALS, LINE_ITEMS, Kind, find

HUBSPOT_DEFINED = "HUBSPOT_DEFINED"
USER_DEFINED = "USER_DEFINED"


@dataclass(frozen=True, slots=True)
class LinkType:
    """One direction of one kind of link."""

    type_id: int
    inverse: int
    source: str  # type ids of the object types
    target: str
    label: str | None = None
    category: str = HUBSPOT_DEFINED
    primary: bool = False  # a record has at most one of these towards the other type
    name: str | None = None


def _pair(
    one: Kind, other: Kind, forth: int, back: int, labels: tuple[str | None, str | None] = (None, None)
) -> list[LinkType]:
    primary = labels[0] == "Primary"
    return [
        LinkType(forth, back, one.type_id, other.type_id, labels[0], primary=primary),
        LinkType(back, forth, other.type_id, one.type_id, labels[1]),
    ]


# The table of HubSpot's association guide, for the types a portal of the sandbox holds.
DEFINED = [
    *_pair(DEALS, COMPANIES, 341, 342),
    *_pair(DEALS, COMPANIES, 5, 6, ("Primary", "Deal with Primary Company")),
    *_pair(DEALS, CONTACTS, 3, 4),
    *_pair(DEALS, LINE_ITEMS, 19, 20),
    *_pair(CONTACTS, COMPANIES, 279, 280),
    *_pair(CONTACTS, COMPANIES, 1, 2, ("Primary", "Contact with Primary Company")),
    LinkType(450, 450, COMPANIES.type_id, COMPANIES.type_id),
    *_pair(COMPANIES, COMPANIES, 13, 14, ("Child Company", "Parent Company")),
]
FIRST_USER_DEFINED = 101

Links = dict[int, tuple[int, ...]]  # target id → type ids, sorted


class BadLink(Exception):
    """A link HubSpot does not allow; the text says why."""


class Associations:
    """All links of one portal."""

    def __init__(self, changed: Callable[[str, int, str], None]) -> None:
        self.types: dict[tuple[str, str], dict[int, LinkType]] = {}
        self._links: dict[tuple[str, int], dict[str, Links]] = {}
        # Told of every changed link, in both directions: from type, from id, to type, to id, removed.
        self.told: Callable[[str, int, str, int, bool], None] = lambda *link: None
        self._changed = changed  # told (from type, from id, to type): counts on records depend on links
        self._next = FIRST_USER_DEFINED
        for link_type in DEFINED:
            self._define(link_type)

    def _define(self, link_type: LinkType) -> None:
        self.types.setdefault((link_type.source, link_type.target), {})[link_type.type_id] = link_type

    def define_label(self, one: str, other: str, name: str, label: str, inverse: str | None) -> list[LinkType]:
        """A custom label, one type id per direction (the same one when it reads alike both ways)."""
        forth, back = self._next, self._next + (1 if inverse else 0)
        self._next = back + 1
        self._define(LinkType(forth, back, one, other, label, USER_DEFINED, name=name))
        if (one, other) != (other, one) or inverse:
            self._define(LinkType(back, forth, other, one, inverse or label, USER_DEFINED, name=name))
        return [link_type for link_type in self.of(one, other) if link_type.type_id in (forth, back)]

    def of(self, one: str, other: str) -> list[LinkType]:
        """The types from one object type to another; empty when they cannot be linked at all."""
        return list(self.types.get((one, other), {}).values())

    def unlabelled(self, one: str, other: str) -> LinkType:
        """The type every linked pair has."""
        for link_type in self.types.get((one, other), {}).values():
            if link_type.label is None:
                return link_type
        raise BadLink(f"{one} and {other} cannot be associated")

    def targets(self, one: str, record_id: int, other: str) -> Links:
        """What a record is linked with; not to be changed by the caller."""
        return self._links.get((one, record_id), {}).get(other, {})

    def label(self, one: str, from_id: int, other: str, to_id: int, type_ids: Iterable[int]) -> tuple[int, ...]:
        """Link two records with exactly these labels; the unlabelled type is kept besides."""
        known = self.types.get((one, other), {})
        wanted = {self.unlabelled(one, other).type_id}
        for type_id in type_ids:
            if type_id not in known:
                raise BadLink(self._wrong_type(one, other, type_id))
            wanted.add(type_id)
        if one == other and from_id == to_id:
            raise BadLink("A record cannot be associated with itself")
        self.check_parent(one, from_id, other, to_id)
        for type_id in wanted:
            self._make_room(known[type_id], from_id, to_id)
            self._make_room(self.types[other, one][known[type_id].inverse], to_id, from_id)
        self._put(one, from_id, other, to_id, wanted)
        self._put(other, to_id, one, from_id, {known[type_id].inverse for type_id in wanted})
        self._announce(one, from_id, other, to_id)
        return tuple(sorted(wanted))

    def connect(self, one: str, from_id: int, other: str, to_id: int) -> None:
        """The default link: unlabelled, leaving labels that are there."""
        self.label(one, from_id, other, to_id, self.targets(one, from_id, other).get(to_id, ()))

    def disconnect(self, one: str, from_id: int, other: str, to_id: int) -> None:
        """Remove every type between two records."""
        for source, source_id, target, target_id in ((one, from_id, other, to_id), (other, to_id, one, from_id)):
            self._links.get((source, source_id), {}).get(target, {}).pop(target_id, None)
        self._announce(one, from_id, other, to_id)

    def unlabel(self, one: str, from_id: int, other: str, to_id: int, type_ids: Iterable[int]) -> None:
        """Remove some labels; removing the unlabelled type removes the link."""
        gone = set(type_ids)
        if self.unlabelled(one, other).type_id in gone:
            self.disconnect(one, from_id, other, to_id)
            return
        present = self.targets(one, from_id, other).get(to_id)
        if present:
            self.label(one, from_id, other, to_id, set(present) - gone)

    def forget(self, one: str, record_id: int) -> None:
        """Remove all links of a record that is gone."""
        for other, targets in list(self._links.get((one, record_id), {}).items()):
            for target_id in list(targets):
                self.disconnect(one, record_id, other, target_id)

    def move(self, one: str, loser: int, survivor: int) -> None:
        """A merge gives the survivor the loser's links."""
        for other, targets in list(self._links.get((one, loser), {}).items()):
            for target_id, type_ids in list(targets.items()):
                self.disconnect(one, loser, other, target_id)
                if (other, target_id) != (one, survivor):
                    kept = self.targets(one, survivor, other).get(target_id, ())
                    single = {t for t in type_ids if self.types[one, other][t].primary}
                    self.label(one, survivor, other, target_id, {*kept, *type_ids} - single)

    def every(self) -> Iterator[tuple[str, int, str, int, tuple[int, ...]]]:
        """All links, each in both directions."""
        for (one, from_id), by_type in self._links.items():
            for other, targets in by_type.items():
                for to_id, type_ids in targets.items():
                    yield one, from_id, other, to_id, type_ids

    def _put(self, one: str, from_id: int, other: str, to_id: int, type_ids: set[int]) -> None:
        targets = self._links.setdefault((one, from_id), {}).setdefault(other, {})
        targets[to_id] = tuple(sorted(type_ids))

    def _make_room(self, link_type: LinkType, from_id: int, to_id: int) -> None:
        """Primary moves: giving it to one company takes it from the one that had it."""
        if not link_type.primary:
            return
        for target_id, type_ids in list(self.targets(link_type.source, from_id, link_type.target).items()):
            if target_id != to_id and link_type.type_id in type_ids:
                rest = set(type_ids) - {link_type.type_id}
                self._put(link_type.source, from_id, link_type.target, target_id, rest)
                back = self.targets(link_type.target, target_id, link_type.source)[from_id]
                kept = set(back) - {link_type.inverse}
                self._put(link_type.target, target_id, link_type.source, from_id, kept)

    def check_parent(self, one: str, from_id: int, other: str, to_id: int) -> None:
        """BadLink when a line item would belong to a second deal; it has one parent."""
        for item, item_id, parent, parent_id in ((one, from_id, other, to_id), (other, to_id, one, from_id)):
            if item == LINE_ITEMS.type_id and self.targets(item, item_id, parent).keys() - {parent_id}:
                raise BadLink(f"line_item {item_id} is already associated with another {_name(parent)}")

    def _announce(self, one: str, from_id: int, other: str, to_id: int) -> None:
        self._changed(one, from_id, other)
        self._changed(other, to_id, one)
        removed = to_id not in self.targets(one, from_id, other)
        self.told(one, from_id, other, to_id, removed)
        self.told(other, to_id, one, from_id, removed)

    def _wrong_type(self, one: str, other: str, type_id: int) -> str:
        for (source, target), known in self.types.items():
            if type_id in known and source != one:
                return f"invalid from object type {one} for associations to be created. expected: {source}"
            if type_id in known:
                return f"invalid to object type {other} for associations to be created. expected: {target}"
        return f"association type {type_id} does not exist between {one} and {other}"


def _name(type_id: str) -> str:
    kind = find(type_id)
    return kind.singular if kind else type_id
