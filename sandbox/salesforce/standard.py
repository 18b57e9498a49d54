"""The standard objects of an org."""

from __future__ import annotations

from . import standard_crm, standard_org, standard_sales
from .schema import ObjectDef


def standard_objects() -> list[ObjectDef]:
    """Fresh definitions, so that every org may add its own fields to them."""
    return [
        standard_org.organization(),
        standard_org.user(),
        standard_org.profile(),
        standard_org.permission_set(),
        standard_org.permission_set_assignment(),
        standard_org.field_permissions(),
        standard_org.object_permissions(),
        standard_org.record_type(),
        standard_org.currency_type(),
        standard_org.opportunity_stage(),
        standard_org.order_status(),
        standard_crm.account(),
        standard_crm.contact(),
        standard_crm.opportunity(),
        standard_crm.contact_role(),
        standard_sales.product(),
        standard_sales.pricebook(),
        standard_sales.pricebook_entry(),
        standard_sales.opportunity_line(),
        standard_sales.order(),
        standard_sales.order_item(),
    ]
