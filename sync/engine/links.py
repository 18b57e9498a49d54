"""Reading and writing EntityLink from the point of view of a flow's source and target.

The link's columns are named by side (crm, ledger); flows speak of source and target. This module is the only place
that translates, so the rest of the engine never asks which way a flow points.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from integrations.connector import Value
from sync.bulk import update_rows
from sync.models import EntityLink, Flow
from sync.models.link import ERASED
from sync.values import load_all

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(text: str) -> str:
    """An id as short text of `[0-9a-z]`: a number in base 36, anything else as a hash."""
    if not text.isdigit():
        return hashlib.sha256(text.encode()).hexdigest()[:12]
    number, digits = int(text), ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def reference_prefix(account_id: str) -> str:
    """What the references of all records of one account begin with."""
    return f"lb1-{base36(account_id)}-"


def sides(flow: Flow) -> tuple[str, str]:
    """(source side, target side): prefixes of the link's columns."""
    return flow.source_side, flow.target_side


def _objects(flow: Flow) -> dict[str, Any]:
    return {
        f"{flow.source_side}_object": flow.source_object,
        f"{flow.target_side}_object": flow.target_object,
    }


def by_source(flow: Flow, ids: Iterable[str]) -> dict[str, EntityLink]:
    """The links of the flow's objects by source id: one query."""
    source, _ = sides(flow)
    rows = EntityLink.objects.filter(
        integration_id=flow.integration_id, **_objects(flow), **{f"{source}_id__in": list(ids)}
    )
    return {getattr(link, f"{source}_id"): link for link in rows}


def by_target(flow: Flow, ids: Iterable[str]) -> dict[str, EntityLink]:
    """The links of the flow's objects by target id: one query, none for no ids."""
    wanted = list(ids)
    if not wanted:
        return {}
    _, target = sides(flow)
    rows = EntityLink.objects.filter(
        integration_id=flow.integration_id, **_objects(flow), **{f"{target}_id__in": wanted}
    )
    return {getattr(link, f"{target}_id"): link for link in rows}


def known_as(flow: Flow, other_target: str, ids: Iterable[str]) -> set[str]:
    """Which of these source records are linked to a record of another target object: one query."""
    source, target = sides(flow)
    rows = EntityLink.objects.filter(
        integration_id=flow.integration_id,
        **{f"{source}_object": flow.source_object, f"{source}_id__in": list(ids), f"{target}_object": other_target},
    )
    return set(rows.values_list(f"{source}_id", flat=True))


def erased(flow: Flow, ids: Iterable[str]) -> set[str]:
    """Which of these source records are of an erased person, whichever flow linked them, in whichever company of the
    same account: one query."""
    source, _ = sides(flow)
    account = f"{source}_account"
    rows = EntityLink.objects.filter(
        **{
            f"integration__{account}": getattr(flow.integration, f"{account}_id"),
            f"{source}_object": flow.source_object,
            f"{source}_id__in": list(ids),
        },
        frozen_reason__startswith=ERASED,
    )
    return set(rows.values_list(f"{source}_id", flat=True))


def count(flow: Flow) -> int:
    """How many records the flow has linked: the base of the brake's percentage."""
    return EntityLink.objects.filter(integration_id=flow.integration_id, **_objects(flow)).count()


def target_id(flow: Flow, link: EntityLink) -> str:
    """The id of the linked target record."""
    return str(getattr(link, f"{flow.target_side}_id"))


def target_gone(flow: Flow, link: EntityLink) -> bool:
    """Whether the linked target record was deleted there, or merged into another one."""
    return link.frozen_reason.startswith(f"{flow.target_side}:")


def source_id(flow: Flow, link: EntityLink) -> str:
    """The id of the linked source record."""
    return str(getattr(link, f"{flow.source_side}_id"))


def agreed(flow: Flow, link: EntityLink) -> Mapping[str, Value]:
    """What the target last returned after our write, by field."""
    return load_all(getattr(link, f"agreed_{flow.target_side}"))


def sent(flow: Flow, link: EntityLink) -> Mapping[str, Value]:
    """What we sent then: equal to `agreed`, except for the values that the target spells its own way."""
    return {**agreed(flow, link), **load_all(getattr(link, f"sent_{flow.target_side}"))}


def lines(flow: Flow, link: EntityLink) -> Mapping[str, Any]:
    """What the link remembers of the target's lines and associations: `print`, `ids`, `links`."""
    return link.line_ids.get(flow.target_side) or {}


def fingerprint(flow: Flow, link: EntityLink) -> str:
    """Hash of the mapped source fields when the flow last looked."""
    return str(getattr(link, f"{flow.source_side}_fingerprint"))


def list_version(mapping_version: int, listed: str) -> str:
    """Hash of a record as a list shows it, seen through one version of the mapping; "" for no list hash."""
    return hashlib.sha256(f"{mapping_version}:{listed}".encode()).hexdigest() if listed else ""


def version(flow: Flow, link: EntityLink) -> str:
    """What `list_version` gave when the flow last looked."""
    return str(getattr(link, f"{flow.source_side}_version"))


def looked(flow: Flow, link: EntityLink, fingerprint: str, version: str) -> EntityLink:
    """The link, marked as seen with this fingerprint and list version (not saved)."""
    setattr(link, f"{flow.source_side}_fingerprint", fingerprint)
    setattr(link, f"{flow.source_side}_version", version)
    return link


def forget_versions(flow: Flow, source_ids: Sequence[str]) -> None:
    """Let the next full look read these records in full, whatever their list rows say."""
    side = flow.source_side
    for start in range(0, len(source_ids), 500):
        rows = EntityLink.objects.filter(
            integration_id=flow.integration_id,
            **_objects(flow),
            **{f"{side}_id__in": source_ids[start : start + 500]},
        )
        rows.update(**{f"{side}_version": ""})


def save_looked(flow: Flow, links: list[EntityLink]) -> None:
    """Store what `looked` changed, in one statement."""
    update_rows(links, [f"{flow.source_side}_fingerprint", f"{flow.source_side}_version"])


def new(flow: Flow, source_id: str, target_id: str) -> EntityLink:
    """An unsaved link of the flow's objects."""
    return EntityLink(
        integration_id=flow.integration_id,
        **_objects(flow),
        **{f"{flow.source_side}_id": source_id, f"{flow.target_side}_id": target_id},
        origin=flow.source_side,
    )
