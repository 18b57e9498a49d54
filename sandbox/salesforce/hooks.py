"""Which rules belong to which object: ``prepare`` before the general checks, ``before`` after them, ``after`` once the
row is stored."""

from __future__ import annotations

from collections.abc import Callable

from . import rules_opportunity, rules_orders, rules_people, rules_prices, rules_rights
from .table import Row
from .write import Write

Rule = Callable[[Write], None]
Follow = Callable[[Write, Row], None]

PREPARE: dict[str, Rule] = {
    "Account": rules_people.prepare_account,
    "Contact": rules_people.prepare_named,
    "User": rules_people.prepare_named,
    "PricebookEntry": rules_prices.prepare_entry,
}
BEFORE: dict[str, Rule] = {
    "Opportunity": rules_opportunity.before_opportunity,
    "OpportunityLineItem": rules_opportunity.before_line,
    "PricebookEntry": rules_prices.before_entry,
    "Order": rules_orders.before_order,
    "OrderItem": rules_orders.before_item,
    "PermissionSet": rules_rights.before_set,
    "PermissionSetAssignment": rules_rights.before_assignment,
    "FieldPermissions": rules_rights.before_permissions,
    "ObjectPermissions": rules_rights.before_object,
}
AFTER: dict[str, Follow] = {
    "Account": rules_people.after_account,
    "OpportunityLineItem": rules_opportunity.after_line,
    "PricebookEntry": rules_prices.after_entry,
    "Product2": rules_prices.after_product,
    "OrderItem": rules_orders.after_item,
    "PermissionSetAssignment": rules_rights.after_rights,
    "FieldPermissions": rules_rights.after_rights,
    "ObjectPermissions": rules_rights.after_object,
}
