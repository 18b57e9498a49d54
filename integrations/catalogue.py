"""The error catalogue: for every code, what it means, how it is put right, and by whom (Q-06).

One type of entry for the vendors' tables (`fortnox/codes.py`, `hubspot/codes.py`), for our own codes (`own_codes.py`)
and for bare HTTP statuses. Causes and remedies are message ids, translated where they are shown. The invariant: a code
that is not listed is never guessed at; it comes back as a stub that says so, with the raw text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from django.db.models import TextChoices
from django.utils.translation import gettext, gettext_noop
from django.utils.translation import gettext_lazy as _

from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    DependencyMissing,
    ErrorClass,
    InvalidData,
    Misconfigured,
    Missing,
    OutcomeUnknown,
    PermissionMissing,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)

KINDS: Mapping[ErrorClass, type[SyncError]] = {
    kind.error_class: kind
    for kind in (
        AuthenticationFailed, Conflict, DependencyMissing, InvalidData, Misconfigured, Missing, OutcomeUnknown,
        PermissionMissing, RateLimited, TooLarge, Transient, SyncError,
    )
}  # fmt: skip


class Responsible(TextChoices):
    """Who can put it right."""

    ACCOUNTANT = "accountant", _("Accounting")
    CRM_USER = "crm_user", _("CRM user")
    CONSULTANT = "consultant", _("Consultant")
    SUPPORT = "support", _("Support")
    VENDOR = "vendor", _("Vendor")
    NOBODY = "nobody", _("Nobody: it goes on by itself")


class Repair(TextChoices):
    """What puts a whole group right; the review page offers the page where it is done."""

    RECORD = "record", _("Correct the record")
    VALUE_MAP = "value_map", _("Add to the value map")
    MAPPING = "mapping", _("Change the mapping")
    FLOW = "flow", _("Change the flow's settings")
    SETUP = "setup", _("Do the set-up again")
    ARTICLE = "article", _("Create the article, or choose what missing ones become")
    CURRENCY = "currency", _("Switch the currency on")
    ACCOUNT = "account", _("Reconnect")
    CHOOSE = "choose", _("Choose the right record")
    ROUTING = "routing", _("Change the routing rules")
    LEDGER = "ledger", _("Change it at the target")
    NONE = "none", ""


_CHECK = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
_REPAIRS: Mapping[ErrorClass, Repair] = {
    ErrorClass.AUTHENTICATION: Repair.ACCOUNT,
    ErrorClass.PERMISSION: Repair.ACCOUNT,
    ErrorClass.DATA: Repair.RECORD,
    ErrorClass.CONFIGURATION: Repair.MAPPING,
    ErrorClass.CONFLICT: Repair.CHOOSE,
    ErrorClass.MISSING: Repair.RECORD,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What one code of one system means.

    `system` is the vendor's name, or "" for our own codes and bare statuses. `message_pattern` is set for texts whose
    code is not known or not telling. `field` is set where the code can only be about one field. `known` is False for
    a stub: a code that nobody has described yet.
    """

    error_class: ErrorClass
    cause: str
    remedy: str
    responsible: Responsible
    field: str = ""
    system: str = ""
    code: str = ""
    message_pattern: str = ""
    known: bool = True
    repair: Repair | None = None

    @property
    def matching_repair(self) -> Repair:
        """What puts it right: as listed, else what usually helps for its class."""
        if self.repair is not None or not self.known:
            return self.repair or Repair.NONE
        if self.error_class == ErrorClass.CONFIGURATION and self.responsible == Responsible.ACCOUNTANT:
            return Repair.LEDGER
        return _REPAIRS.get(self.error_class, Repair.NONE)

    @property
    def kind(self) -> type[SyncError]:
        """The error to raise for it."""
        return KINDS[self.error_class]

    @property
    def cause_text(self) -> str:
        """The cause in the active language."""
        return gettext(self.cause) if self.cause and self.known else self.cause

    @property
    def remedy_text(self) -> str:
        """The remedy in the active language."""
        return gettext(self.remedy) if self.remedy else ""


def table(system: str, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """`entries` by code, each carrying the system and code that it stands for."""
    return {code: replace(entry, system=system, code=code) for code, entry in entries.items()}


def patterns(system: str, entries: Mapping[str, Entry]) -> tuple[Entry, ...]:
    """`entries` by the pattern of their text, for refusals whose code tells nothing."""
    return tuple(
        replace(entry, system=system, code="text", message_pattern=pattern) for pattern, entry in entries.items()
    )


@cache
def _tables() -> tuple[Mapping[str, Mapping[str, Entry]], Mapping[str, tuple[Entry, ...]], Mapping[str, Entry]]:
    """(codes by system, texts by system, our own and statuses). Imported late: the tables are made of `Entry`."""
    from integrations.fortnox import codes as fortnox
    from integrations.hubspot import codes as hubspot
    from integrations.own_codes import OWN, STATUSES
    from integrations.salesforce import codes as salesforce
    from integrations.salesforce import sign_in_codes

    codes = {
        "fortnox": fortnox.CODES,
        "hubspot": {**hubspot.GENERAL, **hubspot.SIGN_IN, **hubspot.CODES},
        "salesforce": {**sign_in_codes.SIGN_IN, **salesforce.CODES},
    }
    return codes, {"fortnox": fortnox.TEXTS, "salesforce": sign_in_codes.TEXTS}, {**OWN, **STATUSES}


def entries() -> Iterator[Entry]:
    """Every entry of the catalogue."""
    codes, texts, ours = _tables()
    for by_code in codes.values():
        yield from by_code.values()
    for listed in texts.values():
        yield from listed
    yield from ours.values()


def find(system: str, code: str, message: str = "") -> Entry | None:
    """The entry for a code, or for a text whose code is not listed; None when there is none."""
    codes, texts, ours = _tables()
    if found := codes.get(system, {}).get(code):
        return found
    for entry in texts.get(system, ()):
        if message and re.search(entry.message_pattern, message, re.IGNORECASE):
            return entry
    plain = code.removeprefix("http_")
    if found := ours.get(plain) or ours.get(plain.partition(":")[0]):
        return found
    if plain.endswith("_missing"):
        return ours["record_missing"]
    # Vendors number their codes or shout them; a quiet word is the name that a mapping gives to one of its checks.
    return replace(ours["validation"], code=code) if _CHECK.fullmatch(code) else None


def explain(system: str, code: str, message: str = "") -> Entry:
    """What `code` of `system` means. For one that is not listed: a stub with the raw text, for support to describe."""
    return find(system, code, message) or Entry(
        ErrorClass.DATA,
        message or code,
        gettext_noop("This code is not described yet. Read the text above; support adds the code to the catalogue."),
        Responsible.SUPPORT,
        system=system,
        code=code,
        known=False,
    )


def explain_first(systems: Sequence[str], code: str, message: str = "") -> Entry:
    """What `code` means as the first of `systems` that knows it says, else a stub of the first: of a failure that does
    not say whose it is."""
    found = (find(system, code, message) for system in systems)
    return next((entry for entry in found if entry is not None), None) or explain(systems[0], code, message)
