"""The matching repair of a group: which page puts it right, with as much filled in as we know.

The invariant: a link leads to a page that the person may open (its own permission is checked there), and at most two
queries find it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.catalogue import Entry, Repair
from mappings.models import FieldMapping, ValueMap
from sync import review
from sync.admin import show
from sync.models import Change


@dataclass(frozen=True, slots=True)
class Way:
    """A control that repairs: its label, where it leads, a sentence of help; `outside` leaves for the vendor."""

    label: str
    url: str = ""
    help: str = ""
    outside: bool = False


def way(change: Change, entry: Entry) -> Way | None:
    """How the group of `change` is repaired; None when there is nothing to press."""
    kind = entry.matching_repair
    label = str(kind.label)
    match kind:
        case Repair.ACCOUNT:
            account = review.target_account(change.flow)
            return Way(label, reverse("admin:integrations_connectedaccount_change", args=[account.pk]))
        case Repair.VALUE_MAP:
            return _value_map(change, label)
        case Repair.MAPPING:
            return Way(label, _mapping_url(change), _("Publish it as a new version, then release the group."))
        case Repair.FLOW | Repair.SETUP | Repair.ARTICLE:
            return Way(label, show.page_url(change.flow))
        case Repair.ROUTING:
            query = urlencode({"account": change.integration.crm_account_id, "object": change.flow.source_object})
            return Way(
                label,
                f"{reverse('admin:mappings_routingrule_changelist')}?{query}",
                _("What it holds is planned again by itself."),
            )
        case Repair.CHOOSE:
            return Way(label, show.page_url(change), _("Decide each one on its page."))
        case Repair.CURRENCY:
            return Way(label, "", _("Switch “%(value)s” on at the target.") % {"value": change.error_value or "?"})
        case Repair.RECORD:
            known = urlsplit(change.source_url).scheme in ("http", "https")
            return Way(_("Open the record"), change.source_url, outside=True) if known else None
        case _:
            return None


def _value_map(change: Change, label: str) -> Way:
    """The value map that lacks the value, with the value filled in; the list of maps when it is not certain which."""
    table = _table_of(change)
    if table is None:
        return Way(label, show.rows_url(ValueMap, integration__id__exact=change.integration_id))
    if table.mapping_set is not None and not table.mapping_set.editable:
        text = _("This value map is final with its version: make a draft of the mapping and add the value there.")
        return Way(label, _mapping_url(change), text)
    address = reverse("admin:mappings_valuemap_change", args=[table.pk])
    return Way(label, f"{address}?{urlencode({'source_value': change.error_value})}")


def _table_of(change: Change) -> ValueMap | None:
    if change.mapping_set is None:
        return None
    rules = FieldMapping.objects.filter(mapping_set=change.mapping_set, target_field=change.error_field)
    names = set()
    for rule in rules.select_related("value_map__mapping_set")[:5]:
        if rule.value_map is not None:
            found: ValueMap = rule.value_map
            return found
        names |= set(re.findall(r"lookup\([^\"]*\"([^\"]+)\"", rule.expression))
    if not names:
        return None
    usable = ValueMap.objects.usable_by(change.mapping_set).filter(name__in=names)
    return usable.select_related("mapping_set").first()


def _mapping_url(change: Change) -> str:
    return show.page_url(change.mapping_set) if change.mapping_set else show.page_url(change.flow)
