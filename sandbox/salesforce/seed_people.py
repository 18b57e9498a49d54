"""The people of an org at the start of the world."""

from __future__ import annotations

from dataclasses import dataclass

from .furniture import place, place_profile
from .org import Org

PROFILES = {"admin": "System Administrator", "integration": "Minimum Access - API Only Integrations"}


@dataclass(frozen=True, slots=True)
class Person:
    """One user of an org; ``local`` is the user name before the domain."""

    first: str
    last: str
    local: str
    active: bool = True


ADMIN = Person("Astrid", "Ek", "admin")
INTEGRATION = Person("Fortnox", "Integration", "integration")
SELLERS = (Person("Anna", "Åberg", "anna.aberg"), Person("Erik", "Lindberg", "erik.lindberg", active=False))


def add_user(org: Org, person: Person) -> str:
    """A user; the id."""
    profile, name = org.profile, PROFILES.get(person.local, "Standard User")
    profiles = {str(row.values["Name"]): row.id for row in org.rows["Profile"].values()}
    if name not in profiles:
        profiles[name] = place_profile(org, name).id
        org.object_rights.settle()
    address = f"{person.local}@{profile.my_domain}.example"
    values = {
        "Username": address,
        "FirstName": person.first,
        "LastName": person.last,
        "Name": f"{person.first} {person.last}",
        "Email": address,
        "Alias": person.local[:8],
        "IsActive": person.active,
        "TimeZoneSidKey": profile.time_zone,
        "LocaleSidKey": profile.locale,
        "LanguageLocaleKey": profile.language,
        "UserType": "Standard",
        "ProfileId": profiles[name],
        "CompanyName": profile.name,
        "DefaultCurrencyIsoCode": org.options.default_currency,
    }
    user = place(org, "User", values).id
    for owned in org.table("PermissionSet").pointing("ProfileId", profiles[name]):
        place(org, "PermissionSetAssignment", {"AssigneeId": user, "PermissionSetId": owned.id})
    return user
