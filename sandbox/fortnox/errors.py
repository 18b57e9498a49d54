"""Fortnox error bodies: envelope, codes and Swedish texts.

Recorded: lookups that fail answer 404 with capital keys (Error, Message, Code), refused input answers 400 with
lower-case keys. Codes from 2999000 up are this emulator's own: the real ones are not public.
"""

from __future__ import annotations

from typing import Any


class FortnoxError(Exception):
    """An answer with an ErrorInformation envelope."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code, self.message, self.status = code, message, status

    def body(self, casing: str = "recorded") -> dict[str, Any]:
        """The envelope; ``casing`` may force ``lower`` or ``capital`` keys for both kinds."""
        capital = self.status == 404 if casing == "recorded" else casing == "capital"
        keys = ("Error", "Message", "Code") if capital else ("error", "message", "code")
        return {"ErrorInformation": dict(zip(keys, (1, self.message, self.code), strict=True))}


class Unauthorized(Exception):
    """Recorded: 401 with a bare message and without the envelope."""


class RateLimited(Exception):
    """More than 25 requests in 5 seconds."""


NOT_FOUND = {
    "customers": (2000433, "Kan inte hitta kunden."),
    "articles": (2000428, "Kan inte hitta artikeln."),
    "invoices": (2000434, "Kan inte hitta fakturan."),
    "units": (2000432, "Kan inte hitta enheten."),
    "termsofpayments": (2000429, "Kan inte hitta betalningsvillkoret."),
    "accounts": (2000423, "Kan inte hitta kontot."),
    "currencies": (2000427, "Kan inte hitta valutan."),
    "prices": (2000430, "Kan inte hitta priset."),
    "pricelists": (2000431, "Kan inte hitta prislistan."),
    "predefinedaccounts": (2001403, "Kan inte hitta det fördefinierade kontot."),
    "invoicepayments": (2999404, "Kan inte hitta betalningen."),
    "modesofpayments": (2999405, "Kan inte hitta betalningssättet."),
    "financialyears": (2999406, "Kan inte hitta räkenskapsåret."),
    "vouchers": (2999407, "Kan inte hitta verifikationen."),
    "voucherseries": (2999408, "Kan inte hitta verifikationsserien."),
}


def not_found(resource: str) -> FortnoxError:
    """Every resource has its own code, always with 404."""
    code, message = NOT_FOUND[resource]
    return FortnoxError(code, message, 404)


def unknown_reference(resource: str) -> FortnoxError:
    """A written value names a record that does not exist: the same code and text, as a validation (decision)."""
    if resource == "currencies":  # reported text without a code
        return own(5, "Kunde inte hämta/hitta valuta")
    code, message = NOT_FOUND[resource]
    return FortnoxError(code, message)


def unknown_field(name: str) -> FortnoxError:
    """Recorded for unknown names; read-only fields are refused alike (decision)."""
    return FortnoxError(2001399, f"Felaktigt fältnamn ({name})")


def no_data() -> FortnoxError:
    """Recorded: body empty or wrapper missing."""
    return FortnoxError(2001392, "Ingen eller felaktig typ av data.")


def wrong_structure() -> FortnoxError:
    """Recorded: an array of texts where objects were expected."""
    return FortnoxError(2002649, "Felaktig datastruktur.")


def bad_parameter() -> FortnoxError:
    """Documented for invalid query parameters."""
    return FortnoxError(2000588, "Ogiltig parameter i anropet.")


def bad_filter() -> FortnoxError:
    """Recorded for a value of ``filter`` that is not in the list."""
    return FortnoxError(2000587, "Ett ogiltigt filter har använts.")


def no_identifier() -> FortnoxError:
    """Recorded: PUT on a collection."""
    return FortnoxError(2000729, "A valid identifier was not provided.")


def too_long(name: str, limit: int) -> FortnoxError:
    """The code is reported by clients; the text is ours."""
    return FortnoxError(2000107, f"Värdet är för långt, högst {limit} tecken. ({name})")


def forbidden_characters(value: str) -> FortnoxError:
    """Documented."""
    return FortnoxError(2000359, f"Värdet innehåller ej tillåtna tecken. ({value})")


def not_alphanumeric(value: object) -> FortnoxError:
    """Documented type check."""
    return FortnoxError(2000106, f"Värdet måste vara alfanumeriskt ({value})")


def not_numeric(value: object) -> FortnoxError:
    """Documented type check."""
    return FortnoxError(2000108, f"Värdet måste vara numeriskt ({value})")


def not_boolean(value: object) -> FortnoxError:
    """Documented type check."""
    return FortnoxError(2000134, f"Värdet måste vara en boolean ({value})")


def own(number: int, message: str) -> FortnoxError:
    """An error whose real code is not public: 2999000 + number."""
    return FortnoxError(2999000 + number, message)


def invalid_value(name: str, value: object) -> FortnoxError:
    """Outside an enumeration, a range or a format."""
    return own(1, f"Ogiltigt värde för {name} ({value})")


def required(name: str) -> FortnoxError:
    """A required field is missing on create."""
    return own(2, f"Fältet {name} måste anges.")


def wrong_action(method: str) -> FortnoxError:
    """Reported text: a wrong verb on an invoice action."""
    return own(3, f"Felaktig action på faktura ({method}).")


def missing_scope() -> FortnoxError:
    """Documented."""
    return FortnoxError(2000663, "Har inte behörighet för scope.")


def missing_licence() -> FortnoxError:
    """Documented: the company lacks the licence behind a granted scope."""
    return FortnoxError(2001101, "Det finns ingen aktiv licens för önskat scope.")
