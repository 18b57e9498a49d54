"""What an org is like: its name and edition, and which features are on that change what may be read and written.

Asked at every connect, of the organization's own row and of descriptions; a feature that could not be asked about is
left out, so that what was known before stays. The vendor's reference: Organization, CurrencyType and describe calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from integrations.errors import AuthenticationFailed, InvalidData
from integrations.salesforce import ids

Ask = Callable[[str, Mapping[str, str]], tuple[int, Any]]
"""(path below the version, parameters) → (status, parsed body); (0, None) when the answer was lost."""


@dataclass(frozen=True, slots=True)
class OrgFacts:
    """`org_id` has 18 characters; "" when the org would not say."""

    org_id: str
    name: str
    details: Mapping[str, Any] = field(default_factory=dict)


def org_id_of(text: str) -> str:
    """An org's or user's id with 18 characters, whichever way it was said. Raises `AuthenticationFailed`."""
    try:
        return ids.checked(text)
    except InvalidData:
        raise AuthenticationFailed("The vendor stated an id that is none", code="no_identity") from None


def learn(ask: Ask) -> OrgFacts:
    """Everything at once; six small calls."""
    asked = "SELECT Id, Name, IsSandbox, OrganizationType, LanguageLocaleKey FROM Organization"
    row = _first(*ask("/query", {"q": asked}))
    details: dict[str, Any] = {}
    if row:
        details |= {"is_sandbox": bool(row.get("IsSandbox")), "edition": str(row.get("OrganizationType") or "")}
        details |= {"language": str(row["LanguageLocaleKey"])[:10]} if row.get("LanguageLocaleKey") else {}
    details |= _features(ask)
    if details.get("multi_currency"):
        corporate = _first(*ask("/query", {"q": "SELECT IsoCode FROM CurrencyType WHERE IsCorporate = TRUE"}))
        if corporate.get("IsoCode"):
            details["currency"] = str(corporate["IsoCode"])
    org_id = org_id_of(str(row["Id"])) if row.get("Id") else ""
    return OrgFacts(org_id, str(row.get("Name") or "")[:200], details)


def _features(ask: Ask) -> dict[str, bool]:
    found = {"multi_currency": _exists(ask, "CurrencyType"), "orders": _exists(ask, "Order")}
    status, account = ask("/sobjects/Account/describe", {})
    if status == 200 and isinstance(account, dict):
        names = {str(entry.get("name")) for entry in account.get("fields", []) if isinstance(entry, dict)}
        # Codes beside the address texts exist only where states and countries are picked from lists.
        found |= {"person_accounts": "IsPersonAccount" in names, "state_picklists": "BillingCountryCode" in names}
    return {name: value for name, value in found.items() if value is not None}


def _exists(ask: Ask, name: str) -> bool | None:
    """Whether the org has an object; None when it did not say."""
    status, _data = ask(f"/sobjects/{name}/describe", {})
    return {200: True, 404: False}.get(status)


def _first(status: int, data: Any) -> dict[str, Any]:
    records = data.get("records") if status == 200 and isinstance(data, dict) else None
    return records[0] if isinstance(records, list) and records and isinstance(records[0], dict) else {}
