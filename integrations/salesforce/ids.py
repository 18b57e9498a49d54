"""Salesforce's record ids: 15 characters in which case counts, or the same with a checksum of three behind it.

The API gives 18; addresses, notes and some error texts have 15. We keep 18 and compare the first 15. The checksum
(Salesforce's REST guide): the 15 are cut in three groups of five, bit n of a group is set where character n is A-Z, and
each group's number picks a character of `A…Z0…5`.
"""

from __future__ import annotations

import re

from integrations.errors import InvalidData

_SHAPE = re.compile(r"[0-9a-zA-Z]{15}(?:[0-9a-zA-Z]{3})?")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
SHORT = 15


def checksum(short: str) -> str:
    """The three characters behind the first 15."""
    groups = (short[start : start + 5] for start in (0, 5, 10))
    return "".join(_ALPHABET[sum(1 << n for n, char in enumerate(group) if "A" <= char <= "Z")] for group in groups)


def to18(text: str) -> str:
    """The id with 18 characters; the checksum that it came with does not count. Raises `InvalidData` for no id."""
    text = text.strip()
    if not _SHAPE.fullmatch(text):
        raise InvalidData(f"{text[:80]!r} is not an id of Salesforce", code="MALFORMED_ID", value=text)
    return text[:SHORT] + checksum(text)


def checked(text: str) -> str:
    """As `to18`, and the checksum must be right: a copied id with a wrong letter, or in the wrong case, is refused."""
    full = to18(text)
    if len(text.strip()) > SHORT and text.strip() != full:
        raise InvalidData(f"{text[:80]!r} is not an id: its check digits are wrong", code="MALFORMED_ID", value=text)
    return full


def is_id(text: str, prefix: str = "") -> bool:
    """Whether the text is an id, of the object that `prefix` stands for if given."""
    try:
        return checked(text).startswith(prefix)
    except InvalidData:
        return False


def same(one: str, other: str) -> bool:
    """Whether both name the same record, whichever way they are spelled."""
    return one.strip()[:SHORT] == other.strip()[:SHORT] != ""
