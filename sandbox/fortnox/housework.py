"""Consistency of tax-reduction rows (ROT, RUT, green): four recorded refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .errors import FortnoxError

_ROT_WORDS = "CONSTRUCTION ELECTRICITY GLASSMETALWORK GROUNDDRAINAGEWORK MASONRY PAINTINGWALLPAPERING HVAC"
_GREEN_WORDS = "SOLARCELLS STORAGESELFPRODUCEDELECTRICITY CHARGINGSTATIONELECTRICVEHICLE"
ROT = frozenset(_ROT_WORDS.split())
GREEN = frozenset(_GREEN_WORDS.split())
ENDED = frozenset({"COOKING", "TUTORING"})


def kind_of(work: str) -> str:
    """Which reduction a type of work belongs to."""
    return "rot" if work in ROT else "green" if work in GREEN else "rut"


def check_rows(reduction: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse what the recordings show as refused."""
    for row in rows:
        work = row.get("HouseWorkType")
        if not work:
            continue
        if reduction == "none":
            raise FortnoxError(
                2004019,
                "Dokument utan angiven skattereduktionstyp får inte innehålla artikelrader med husarbetestyp.",
            )
        if work in ENDED:
            raise FortnoxError(2003157, "Skattereduktion för den valda typen av husarbete har upphört.")
        if work == "OTHERCOSTS":
            if row.get("HouseWork"):
                raise FortnoxError(2002980, "Kan inte sätta typen övrig kostnad på en rad markerad som husarbete.")
        elif kind_of(str(work)) != reduction:
            raise FortnoxError(
                2004021,
                f"Dokument med skattereduktionstypen '{reduction}' får inte innehålla rader med "
                f"husarbetestypen '{work}'.",
            )
