"""Record ids: fifteen case-sensitive characters, or eighteen with a checksum that keeps them apart without case.

Salesforce REST guide: the interface returns eighteen and takes either form."""

from __future__ import annotations

from itertools import count

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHECKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
FIRST = 10 * 62**4 + 7_654_321  # where each prefix starts counting, so that ids look lived in
MASTER_RECORD_TYPE = "012000000000000AAA"

PREFIXES = {
    "Account": "001",
    "Contact": "003",
    "User": "005",
    "Opportunity": "006",
    "OpportunityContactRole": "00K",
    "OpportunityLineItem": "00k",
    "Lead": "00Q",
    "Organization": "00D",
    "Profile": "00e",
    "CustomField": "00N",
    "RecordType": "012",
    "Pricebook2": "01s",
    "Product2": "01t",
    "PricebookEntry": "01u",
    "CurrencyType": "01L",
    "CustomObject": "01I",
    "FieldPermissions": "01k",
    "ObjectPermissions": "110",
    "OpportunityStage": "01J",
    "OrderStatus": "0Wd",
    "OutboundMessage": "04l",
    "ActionId": "04k",
    "PermissionSet": "0PS",
    "PermissionSetAssignment": "0Pa",
    "DeployRequest": "0Af",
    "QueryLocator": "0r8",
    "BulkJob": "750",
    "Order": "801",
    "OrderItem": "802",
}


def checksum(id15: str) -> str:
    """The three characters that follow a fifteen-character id: bit n of each is set when character n of its group
    of five is a capital letter."""
    found = ""
    for start in (0, 5, 10):
        bits = 0
        for place in range(5):
            if "A" <= id15[start + place] <= "Z":
                bits |= 1 << place
        found += CHECKS[bits]
    return found


def full(text: str) -> str | None:
    """The eighteen-character form of an id in either form; None when it is no id. A wrong checksum is corrected
    from the case of the letters when only its case differs, and refused otherwise."""
    if len(text) not in (15, 18) or not (text.isascii() and text.isalnum()):
        return None
    check = checksum(text[:15])
    if len(text) == 18 and text[15:].upper() != check:
        return None
    return text[:15] + check


def short(record_id: str) -> str:
    """The fifteen-character form that some error texts show."""
    return record_id[:15]


def base62(number: int, width: int) -> str:
    """A number in the digits of record ids."""
    places: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        places.append(DIGITS[digit])
    return "".join(reversed(places))


class IdMaker:
    """Gives each prefix its own rising ids; ``instance`` is the two letters that name the org's server."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._counters: dict[str, count[int]] = {}

    def new(self, prefix: str) -> str:
        """The next eighteen-character id for a key prefix."""
        counter = self._counters.get(prefix)
        if counter is None:
            counter = self._counters[prefix] = count(FIRST)
        id15 = prefix + self._instance + base62(next(counter), 10)
        return id15 + checksum(id15)
