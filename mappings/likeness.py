"""How alike two records are, from 0 to 100, and why. Pure, and the same for the same two records.

What both sides hold is compared kind by kind: a legal identity weighs 50, a name 40, an internet domain and an e-mail
address 25 each, a postal code 15, a telephone number and a street 10 each, a town 5. A name is compared without its
company form (`AB`, `Aktiebolag`, `Ltd` …), accents, punctuation and word order; everything else is equal or not after
normalising. The score is what agrees out of what could be compared, and out of 60 at least, so that a town alone never
looks like a match; what only one side holds counts neither way. Two different legal identities never score above 20.
The invariant: a score decides nothing; it only sorts what a person looks at (SA8).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from mappings import identifiers

WEIGHTS: Mapping[str, int] = {
    "orgnr": 50, "name": 40, "domain": 25, "email": 25, "postcode": 15, "phone": 10, "street": 10, "city": 5,
}  # fmt: skip
ENOUGH = 60
TWO_IDENTITIES = 20
LONGEST = 200

_FORMS = frozenset(
    """
    ab aktiebolag aktiebolaget publ hb handelsbolag handelsbolaget kb kommanditbolag kommanditbolaget ek for forening
    ekonomisk ideell brf bostadsrattsforening bostadsrattsforeningen stiftelse stiftelsen enskild firma ef as asa aps
    oy oyj ltd limited plc llc inc incorporated corp corporation co company gmbh ag bv nv sa sarl srl spa group koncern
    koncernen och and the
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W_]+")
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("email", re.compile(r"e?mail|epost")),
    ("domain", re.compile(r"domain|website|www|homepage")),
    ("orgnr", re.compile(r"organi[sz]ation_?num|org_?(nr|no|num|id)?$|orgnr|registration_?num|vat_?num")),
    ("postcode", re.compile(r"zip|postal|postcode|postnum")),
    ("phone", re.compile(r"phone|mobile|tel$|telefon")),
    ("street", re.compile(r"^(billing|shipping|visiting)?_?(address1?|street)$")),
    ("city", re.compile(r"^(billing|shipping|visiting)?_?(city|town)$")),
    ("name", re.compile(r"^(company|customer|account|full)?_?name$")),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two values of one kind: ours (as it would be written) and theirs (as it is there), by the field's name."""

    field: str
    kind: str
    ours: str
    theirs: str


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: how many of its points were reached."""

    field: str
    kind: str
    ours: str
    theirs: str
    points: int
    of: int

    @property
    def agrees(self) -> bool:
        """Whether they are the same for the purpose of a match."""
        return self.points == self.of


@dataclass(frozen=True, slots=True)
class Likeness:
    """The score and the comparisons that it is made of, weightiest first."""

    score: int
    parts: tuple[Part, ...]


def kind_of(field: str, normaliser: str = "") -> str:
    """What a field holds, by the normaliser of a match rule or by its name; "" for what says nothing about identity."""
    if normaliser in WEIGHTS:
        return normaliser
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field).lower()
    return next((kind for kind, pattern in _KINDS if pattern.search(plain)), "")


def compare(pairs: Iterable[Pair]) -> Likeness:
    """The likeness of two records. Of several pairs of one kind the one that agrees best counts."""
    best: dict[str, Part] = {}
    for pair in pairs:
        of = WEIGHTS.get(pair.kind, 0)
        ours, theirs = pair.ours[:LONGEST].strip(), pair.theirs[:LONGEST].strip()
        alike = _alike(pair.kind, ours, theirs) if of and ours and theirs else None
        if alike is None:
            continue
        part = Part(pair.field, pair.kind, ours, theirs, round(of * alike), of)
        if pair.kind not in best or part.points > best[pair.kind].points:
            best[pair.kind] = part
    parts = tuple(sorted(best.values(), key=lambda part: (-part.of, part.kind)))
    reached, compared = sum(part.points for part in parts), sum(part.of for part in parts)
    score = round(100 * reached / max(compared, ENOUGH))
    if "orgnr" in best and not best["orgnr"].points:
        score = min(score, TWO_IDENTITIES)
    return Likeness(score, parts)


@lru_cache(maxsize=20_000)
def plain_name(text: str) -> str:
    """A name without company form, accents, punctuation and word order; all of it when nothing else is left."""
    folded = unicodedata.normalize("NFKD", text[:LONGEST].casefold().replace("&", " "))
    folded = "".join(char for char in folded if not unicodedata.combining(char))
    words = _WORD.findall(folded.replace("'", "").replace("’", ""))
    telling = [word for word in words if word not in _FORMS and len(word) > 1]
    return " ".join(sorted(telling or words))


def _alike(kind: str, ours: str, theirs: str) -> float | None:
    """From 0 to 1; None when one of the two is nothing of that kind."""
    if kind == "name":
        left, right = sorted((plain_name(ours), plain_name(theirs)))
        if not left or not right:
            return None
        ratio = SequenceMatcher(None, left, right, autojunk=False).ratio()
        return ratio if ratio >= 0.5 else 0.0  # below that, letters agree by chance
    read = _READERS[kind]
    one, other = read(ours), read(theirs)
    return float(one == other) if one and other else None


def _text(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def _postcode(text: str) -> str:
    return "".join(_WORD.findall(text.upper())).removeprefix("SE")


def _phone(text: str) -> str:
    digits = identifiers.digits(text)
    return digits.removeprefix("0046").removeprefix("46").lstrip("0")[-9:] if len(digits) > 5 else ""


def _email(text: str) -> str:
    return text.casefold() if "@" in text else ""


_READERS = {
    "orgnr": identifiers.organisation_number,
    "domain": identifiers.company_domain,
    "email": _email,
    "postcode": _postcode,
    "phone": _phone,
    "street": _text,
    "city": _text,
}
