"""What Fortnox's error codes mean: one table of codes, one of texts whose code is not known.

Sources, in words: Fortnox's developer pages (codes with their Swedish texts), recorded answers, and codes that other
integrators reported. The invariant: every code that the documentation names has an entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

from integrations.catalogue import Entry, Repair, Responsible, patterns, table
from integrations.errors import ErrorClass


def _missing(cause: str, remedy: str) -> Entry:
    return Entry(ErrorClass.MISSING, cause, remedy, Responsible.ACCOUNTANT)


_SCOPE = Entry(
    ErrorClass.PERMISSION,
    _("The connection was not granted this part of Fortnox."),
    _("Reconnect Fortnox and approve all permissions."),
    Responsible.CONSULTANT,
)
_LICENCE = Entry(
    ErrorClass.PERMISSION,
    _("The Fortnox company lacks the licence that this part of Fortnox needs."),
    _("Order the licence in Fortnox under Administer users and subscriptions."),
    Responsible.ACCOUNTANT,
)
_LOGIN = Entry(
    ErrorClass.AUTHENTICATION,
    _("Fortnox does not accept our credentials."),
    _("Reconnect Fortnox."),
    Responsible.ACCOUNTANT,
)
_REQUEST = Entry(
    ErrorClass.CONFIGURATION,
    _("Fortnox does not understand the request we made."),
    _("Check the mapping; if it is in order, report this with the code."),
    Responsible.CONSULTANT,
)
_FAULT = Entry(
    ErrorClass.TRANSIENT, _("Fortnox has an internal fault."), _("Nothing; it is tried again."), Responsible.NOBODY
)
_VALUE = Entry(
    ErrorClass.DATA, _("Fortnox does not accept this value."), _("Correct the value in the CRM."), Responsible.CRM_USER
)
_ACCOUNTS = Entry(
    ErrorClass.CONFIGURATION,
    _("An account that Fortnox needs is missing, inactive or not suitable."),
    _("Set up the predefined accounts in Fortnox under Settings, Bookkeeping."),
    Responsible.ACCOUNTANT,
)
_WAREHOUSE = Entry(
    ErrorClass.DATA,
    _("Fortnox's warehouse module refuses this."),
    _("Correct the document in Fortnox."),
    Responsible.ACCOUNTANT,
)
_REDUCTION = Entry(
    ErrorClass.DATA,
    _("The tax reduction (ROT/RUT) of this invoice is not consistent."),
    _("Correct the type of work, hours or persons on the invoice."),
    Responsible.CRM_USER,
)
_SUPPLIER = Entry(
    ErrorClass.DATA,
    _("Fortnox refuses this supplier invoice."),
    _("Correct the supplier invoice."),
    Responsible.ACCOUNTANT,
)

_CODES: Mapping[str, Entry] = {
    "2000663": _SCOPE,
    "2001393": _SCOPE,
    "2001101": _LICENCE,
    "2001103": _LICENCE,
    "2003275": Entry(
        ErrorClass.PERMISSION,
        _("The Fortnox user behind the connection lacks the right to this register."),
        _("Give the user the right in Fortnox, or reconnect as a system administrator."),
        Responsible.ACCOUNTANT,
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
        ErrorClass.CONFLICT,
        _("The customer number is taken, possibly by a customer that was deleted."),
        _("Link to the existing customer, or let Fortnox choose the number."),
        Responsible.CRM_USER,
        "CustomerNumber",
    ),
    "2000013": Entry(
        ErrorClass.CONFLICT,
        _("The article number is taken."),
        _("Link to the existing article, or choose another number."),
        Responsible.CRM_USER,
        "ArticleNumber",
    ),
    "2000204": Entry(
        ErrorClass.DATA,
        _("The document names a customer that Fortnox does not have."),
        _("Create the customer in Fortnox, or correct the customer number."),
        Responsible.CRM_USER,
        "CustomerNumber",
    ),
    "2001302": Entry(
        ErrorClass.DATA,
        _("A row names an article that Fortnox does not have."),
        _("Create the article in Fortnox, or correct the article number."),
        Responsible.CRM_USER,
        "ArticleNumber",
        repair=Repair.ARTICLE,
    ),
    "2001304": Entry(
        ErrorClass.CONFIGURATION,
        _("A row names an unknown account, or the company has no predefined accounts."),
        _("Set up the predefined accounts in Fortnox, or correct the account."),
        Responsible.ACCOUNTANT,
        "AccountNumber",
    ),
    "2000550": _ACCOUNTS,
    "2000919": Entry(
        ErrorClass.DATA,
        _("Fortnox does not know this country name; it expects Sverige or English ISO names."),
        _("Translate the country with a value map."),
        Responsible.CONSULTANT,
        "Country",
        repair=Repair.VALUE_MAP,
    ),
    "2004194": Entry(
        ErrorClass.DATA,
        _("The VAT number is not valid."),
        _("Correct the VAT number."),
        Responsible.CRM_USER,
        "VATNumber",
    ),
    "2000359": Entry(
        ErrorClass.DATA,
        _("The text contains characters that Fortnox does not allow."),
        _("Remove the characters (quotes, angle brackets, emoji) in the CRM."),
        Responsible.CRM_USER,
    ),
    "2000106": _VALUE,
    "2000108": _VALUE,
    "2000134": _VALUE,
    "2000107": Entry(
        ErrorClass.DATA,
        _("The text is too long for Fortnox."),
        _("Shorten it, or cut it in the mapping."),
        Responsible.CRM_USER,
    ),
    "2000587": _REQUEST,
    "2000588": _REQUEST,
    "2000729": _REQUEST,
    "2001392": _REQUEST,
    "2001399": Entry(
        ErrorClass.CONFIGURATION,
        _("Fortnox has no writable field of this name."),
        _("Remove the field from the mapping."),
        Responsible.CONSULTANT,
    ),
    "2002115": _REQUEST,
    "2001740": _REQUEST,
    "2002649": _REQUEST,
    "2000401": Entry(
        ErrorClass.CONFIGURATION,
        _("The period is locked in Fortnox."),
        _("Unlock the period in Fortnox, or use a later date."),
        Responsible.ACCOUNTANT,
    ),
    "2004167": _ACCOUNTS,
    "2001265": _ACCOUNTS,
    "2002462": _ACCOUNTS,
    "2004052": _ACCOUNTS,
    "2001403": _ACCOUNTS,
    "2000499": Entry(
        ErrorClass.CONFLICT,
        _("The offer already has an order."),
        _("Use the order that exists."),
        Responsible.ACCOUNTANT,
    ),
    "2001243": Entry(
        ErrorClass.DATA, _("The offer is locked."), _("Unlock the offer in Fortnox."), Responsible.ACCOUNTANT
    ),
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
        ErrorClass.DATA,
        _("YourReference is longer than 50 characters."),
        _("Shorten it."),
        Responsible.CRM_USER,
        "YourReference",
    ),
    "2001896": Entry(
        ErrorClass.DATA,
        _("Comments is longer than 1,024 characters."),
        _("Shorten it."),
        Responsible.CRM_USER,
        "Comments",
    ),
    "2003977": Entry(
        ErrorClass.DATA,
        _("A row with a quantity has neither article nor description."),
        _("Give the line item a name or an article number."),
        Responsible.CRM_USER,
        "Description",
    ),
}

CODES = table("fortnox", _CODES)

_COST_CENTRE = Entry(
    ErrorClass.DATA,
    _("The cost centre or delivery method does not exist in Fortnox."),
    _("Create it in Fortnox, or translate it with a value map."),
    Responsible.CONSULTANT,
)

# Texts whose code is not known, matched by how they begin or what they contain.
TEXTS = patterns(
    "fortnox",
    {
        r"hämta/hitta moms|ogiltig momskod": Entry(
            ErrorClass.CONFIGURATION,
            _("The VAT rate is not set up in the Fortnox company."),
            _("Set up the VAT rate in Fortnox, or map it to one that exists."),
            Responsible.ACCOUNTANT,
            "VAT",
        ),
        r"hämta/hitta valuta|currency mismatch|currency does not match": Entry(
            ErrorClass.CONFIGURATION,
            _("The currency is not set up in the Fortnox company."),
            _("Add the currency in Fortnox under Register, Currencies."),
            Responsible.ACCOUNTANT,
            "Currency",
            repair=Repair.CURRENCY,
        ),
        r"kostnadsställe|leveranssätt": _COST_CENTRE,
        r"är inte aktivt": _ACCOUNTS,
        r"bankuppgifter saknas|om inte företaget är registrerat": Entry(
            ErrorClass.CONFIGURATION,
            _("The Fortnox company lacks details that this action needs."),
            _("Complete the company settings in Fortnox."),
            Responsible.ACCOUNTANT,
        ),
        r"måste vara klarmarkerad|felaktig action": _REQUEST,
        r"ocr-numret används redan": Entry(
            ErrorClass.CONFLICT, _("The OCR number is taken."), _("Use another."), Responsible.ACCOUNTANT, "OCR"
        ),
        r"feature inte tillgänglig": _LICENCE,
        r"payment date cannot precede": _VALUE,
        r"räkenskapsår|fiscal year|financial year": Entry(
            ErrorClass.CONFIGURATION,
            _("Fortnox has no financial year for the date."),
            _("Create the financial year in Fortnox."),
            Responsible.ACCOUNTANT,
        ),
    },
)
