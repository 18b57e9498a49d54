"""Every way Fortnox says no, mapped onto our error classes: one table, one function.

Sources, in words: Fortnox's developer pages (codes with their Swedish texts), recorded answers, and codes that other
integrators reported. Keys of the error envelope come in both cases (`Code`/`code`), so they are read without regard
to case. The invariant: an unknown code is never guessed at; it becomes `InvalidData` with `unknown` in its context.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_noop as _

from integrations.errors import (
    AuthenticationFailed,
    Conflict,
    InvalidData,
    Misconfigured,
    Missing,
    PermissionMissing,
    RateLimited,
    SyncError,
    TooLarge,
    Transient,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one code means: the class, the cause and the remedy (translated where they are shown), and who can apply it.

    `side` is "fortnox" (someone in the Fortnox company), "crm" (the data in the CRM), "mapping" (our settings) or
    "vendor" (nobody here; wait or ask Fortnox). `field` is set where the code can only be about one field.
    """

    kind: type[SyncError]
    cause: str
    remedy: str
    side: str
    field: str = ""


def _missing(cause: str, remedy: str) -> Entry:
    return Entry(Missing, cause, remedy, "fortnox")


_SCOPE = Entry(
    PermissionMissing,
    _("The connection was not granted this part of Fortnox."),
    _("Reconnect Fortnox and approve all permissions."),
    "fortnox",
)
_LICENCE = Entry(
    PermissionMissing,
    _("The Fortnox company lacks the licence that this part of Fortnox needs."),
    _("Order the licence in Fortnox under Administer users and subscriptions."),
    "fortnox",
)
_LOGIN = Entry(AuthenticationFailed, _("Fortnox does not accept our credentials."), _("Reconnect Fortnox."), "fortnox")
_REQUEST = Entry(
    Misconfigured,
    _("Fortnox does not understand the request we made."),
    _("Check the mapping; if it is in order, report this with the code."),
    "mapping",
)
_FAULT = Entry(Transient, _("Fortnox has an internal fault."), _("Nothing; it is tried again."), "vendor")
_VALUE = Entry(InvalidData, _("Fortnox does not accept this value."), _("Correct the value in the CRM."), "crm")
_ACCOUNTS = Entry(
    Misconfigured,
    _("An account that Fortnox needs is missing, inactive or not suitable."),
    _("Set up the predefined accounts in Fortnox under Settings, Bookkeeping."),
    "fortnox",
)
_WAREHOUSE = Entry(
    InvalidData, _("Fortnox's warehouse module refuses this."), _("Correct the document in Fortnox."), "fortnox"
)
_REDUCTION = Entry(
    InvalidData,
    _("The tax reduction (ROT/RUT) of this invoice is not consistent."),
    _("Correct the type of work, hours or persons on the invoice."),
    "crm",
)
_SUPPLIER = Entry(
    InvalidData, _("Fortnox refuses this supplier invoice."), _("Correct the supplier invoice."), "fortnox"
)

CODES: Mapping[str, Entry] = {
    "2000663": _SCOPE,
    "2001393": _SCOPE,
    "2001101": _LICENCE,
    "2001103": _LICENCE,
    "2003275": Entry(
        PermissionMissing,
        _("The Fortnox user behind the connection lacks the right to this register."),
        _("Give the user the right in Fortnox, or reconnect as a system administrator."),
        "fortnox",
    ),
    # Documented as a failed log-in; also reported when someone has the record open.
    "2000310": _LOGIN,
    "2000311": _LOGIN,
    "2000719": _LOGIN,
    "2004054": _LOGIN,
    "1000003": _FAULT,
    "1000029": _FAULT,
    "1000030": _REQUEST,
    "1000031": _REQUEST,
    "2000433": _missing(_("Fortnox has no such customer."), _("Check that the customer still exists in Fortnox.")),
    "2000428": _missing(_("Fortnox has no such article."), _("Check that the article still exists in Fortnox.")),
    "2000434": _missing(_("Fortnox has no such invoice."), _("Check that the invoice still exists in Fortnox.")),
    "2000439": _missing(_("Fortnox has no such order."), _("Check that the order still exists in Fortnox.")),
    "2001161": _missing(_("Fortnox has no such project."), _("Check that the project still exists in Fortnox.")),
    "2000432": _missing(_("Fortnox has no such unit."), _("Check that the unit still exists in Fortnox.")),
    "2000429": _missing(
        _("Fortnox has no such term of payment."), _("Check that the term of payment still exists in Fortnox.")
    ),
    "2000423": _missing(_("Fortnox has no such account."), _("Check that the account still exists in Fortnox.")),
    "2000427": _missing(_("Fortnox has no such currency."), _("Check that the currency still exists in Fortnox.")),
    "2000430": _missing(_("Fortnox has no such price."), _("Check that the price still exists in Fortnox.")),
    "2000431": _missing(_("Fortnox has no such price list."), _("Check that the price list still exists in Fortnox.")),
    "2000435": _missing(
        _("Fortnox has no such term of delivery."), _("Check that the term of delivery still exists in Fortnox.")
    ),
    "2000637": Entry(
        Conflict,
        _("The customer number is taken, possibly by a customer that was deleted."),
        _("Link to the existing customer, or let Fortnox choose the number."),
        "crm",
        "CustomerNumber",
    ),
    "2000013": Entry(
        Conflict,
        _("The article number is taken."),
        _("Link to the existing article, or choose another number."),
        "crm",
        "ArticleNumber",
    ),
    "2000204": Entry(
        InvalidData,
        _("The document names a customer that Fortnox does not have."),
        _("Create the customer in Fortnox, or correct the customer number."),
        "crm",
        "CustomerNumber",
    ),
    "2001302": Entry(
        InvalidData,
        _("A row names an article that Fortnox does not have."),
        _("Create the article in Fortnox, or correct the article number."),
        "crm",
        "ArticleNumber",
    ),
    "2001304": Entry(
        Misconfigured,
        _("A row names an unknown account, or the company has no predefined accounts."),
        _("Set up the predefined accounts in Fortnox, or correct the account."),
        "fortnox",
        "AccountNumber",
    ),
    "2000550": _ACCOUNTS,
    "2000919": Entry(
        InvalidData,
        _("Fortnox does not know this country name; it expects Sverige or English ISO names."),
        _("Translate the country with a value map."),
        "mapping",
        "Country",
    ),
    "2004194": Entry(InvalidData, _("The VAT number is not valid."), _("Correct the VAT number."), "crm", "VATNumber"),
    "2000359": Entry(
        InvalidData,
        _("The text contains characters that Fortnox does not allow."),
        _("Remove the characters (quotes, angle brackets, emoji) in the CRM."),
        "crm",
    ),
    "2000106": _VALUE,
    "2000108": _VALUE,
    "2000134": _VALUE,
    "2000107": Entry(
        InvalidData, _("The text is too long for Fortnox."), _("Shorten it, or cut it in the mapping."), "crm"
    ),
    "2000587": _REQUEST,
    "2000588": _REQUEST,
    "2000729": _REQUEST,
    "2001392": _REQUEST,
    "2001399": Entry(
        Misconfigured,
        _("Fortnox has no writable field of this name."),
        _("Remove the field from the mapping."),
        "mapping",
    ),
    "2002115": _REQUEST,
    "2001740": _REQUEST,
    "2002649": _REQUEST,
    "2000401": Entry(
        Misconfigured,
        _("The period is locked in Fortnox."),
        _("Unlock the period in Fortnox, or use a later date."),
        "fortnox",
    ),
    "2004167": _ACCOUNTS,
    "2001265": _ACCOUNTS,
    "2002462": _ACCOUNTS,
    "2004052": _ACCOUNTS,
    "2001403": _ACCOUNTS,
    "2000499": Entry(Conflict, _("The offer already has an order."), _("Use the order that exists."), "fortnox"),
    "2001243": Entry(InvalidData, _("The offer is locked."), _("Unlock the offer in Fortnox."), "fortnox"),
    "2003124": _WAREHOUSE,
    "2003125": _WAREHOUSE,
    "2003126": _WAREHOUSE,
    "2003127": _WAREHOUSE,
    "2003277": _WAREHOUSE,
    "2003399": _WAREHOUSE,
    "2003241": _WAREHOUSE,
    "2000755": _SUPPLIER,
    "2003095": _SUPPLIER,
    "2003115": _SUPPLIER,
    "2004019": _REDUCTION,
    "2004021": _REDUCTION,
    "2002980": _REDUCTION,
    "2003151": _REDUCTION,
    "2003157": _REDUCTION,
    "2000600": _REDUCTION,
    # Reported by other integrators: the limits of two text fields, and rows without description or article.
    "2001600": Entry(
        InvalidData, _("YourReference is longer than 50 characters."), _("Shorten it."), "crm", "YourReference"
    ),
    "2001896": Entry(InvalidData, _("Comments is longer than 1,024 characters."), _("Shorten it."), "crm", "Comments"),
    "2003977": Entry(
        InvalidData,
        _("A row with a quantity has neither article nor description."),
        _("Give the line item a name or an article number."),
        "crm",
        "Description",
    ),
}

# Texts whose code is not known, matched by how they begin or what they contain.
TEXTS: tuple[tuple[str, Entry], ...] = (
    (
        r"hämta/hitta moms|ogiltig momskod",
        Entry(
            Misconfigured,
            _("The VAT rate is not set up in the Fortnox company."),
            _("Set up the VAT rate in Fortnox, or map it to one that exists."),
            "fortnox",
            "VAT",
        ),
    ),
    (
        r"hämta/hitta valuta|currency mismatch",
        Entry(
            Misconfigured,
            _("The currency is not set up in the Fortnox company."),
            _("Add the currency in Fortnox under Register, Currencies."),
            "fortnox",
            "Currency",
        ),
    ),
    (r"kostnadsställe|leveranssätt", _VALUE),
    (r"är inte aktivt", _ACCOUNTS),
    (
        r"bankuppgifter saknas|om inte företaget är registrerat",
        Entry(
            Misconfigured,
            _("The Fortnox company lacks details that this action needs."),
            _("Complete the company settings in Fortnox."),
            "fortnox",
        ),
    ),
    (r"måste vara klarmarkerad|felaktig action", _REQUEST),
    (r"ocr-numret används redan", Entry(Conflict, _("The OCR number is taken."), _("Use another."), "fortnox", "OCR")),
    (r"feature inte tillgänglig", _LICENCE),
    (r"payment date cannot precede", _VALUE),
    (
        r"räkenskapsår|fiscal year|financial year",
        Entry(
            Misconfigured,
            _("Fortnox has no financial year for the date."),
            _("Create the financial year in Fortnox."),
            "fortnox",
        ),
    ),
)


def envelope(data: Any) -> tuple[str, str]:
    """(code, message) of an error body in any of its spellings; ("", "") when it is none."""
    if not isinstance(data, Mapping):
        return "", ""
    inner = next((v for k, v in data.items() if str(k).lower() == "errorinformation"), data)
    if not isinstance(inner, Mapping):
        return "", ""
    lower = {str(k).lower(): v for k, v in inner.items()}
    code = lower.get("code")
    return ("" if code is None else str(code)), str(lower.get("message") or lower.get("error_description") or "")


def _named_field(code: str, message: str) -> str:
    """The field an error text names: "Felaktigt fältnamn (x)"."""
    found = re.search(r"\(([^()]{1,60})\)", message) if code == "2001399" else None
    return found.group(1) if found else ""


def _offending_value(code: str, message: str) -> str:
    """The value an error text quotes in brackets or after a colon."""
    if code in {"2000359", "2000106", "2000108", "2000134", "2000204"}:
        found = re.search(r"\((.{1,200})\)\s*$", message)
        return found.group(1) if found else ""
    return message.partition(":")[2].strip() if code == "2000919" else ""


def classify(status: int, headers: Mapping[str, str], data: Any, text: str, told: float | None) -> SyncError:
    """The error of an answer that is not a success.

    `text` is its (redacted) start, for bodies that are not JSON; `told` the seconds of a `Retry-After` header.
    Fortnox documents none for its 429, whose window is five seconds.
    """
    code, message = envelope(data)
    message = message or text.strip()[:300] or f"HTTP {status}"
    context: dict[str, Any] = {"uid": headers["X-Uid"]} if "X-Uid" in headers else {}
    if status == 429:
        return RateLimited(
            message, code=code or "429", status=status, retry_after=5.0 if told is None else max(1.0, told)
        )
    if status == 401 and not code:
        return AuthenticationFailed(message, code="401", status=status, context=context | {"side": "fortnox"})
    if status in {408, 500, 502, 503, 504} or status > 504:
        return Transient(message, code=code or str(status), status=status, retry_after=told, context=context)
    entry = CODES.get(code) or next((e for p, e in TEXTS if re.search(p, message, re.IGNORECASE)), None)
    if entry is None:
        return _unlisted(status, code, message, context)
    context |= {"cause": entry.cause, "remedy": entry.remedy, "side": entry.side}
    return entry.kind(
        message,
        code=code or "text",
        status=status,
        field=entry.field or _named_field(code, message),
        value=_offending_value(code, message),
        context=context,
    )


def _unlisted(status: int, code: str, message: str, context: dict[str, Any]) -> SyncError:
    """The class of an answer whose code is not in the table: by status where that is certain, else data."""
    by_status: dict[int, type[SyncError]] = {
        401: AuthenticationFailed,
        403: PermissionMissing,
        404: Missing,
        409: Conflict,
        410: Missing,
        413: TooLarge,
        414: TooLarge,
    }
    kind = by_status.get(status, Transient if 300 <= status < 400 else InvalidData)
    return kind(message, code=code or str(status), status=status, context=context | {"unknown": True})
