"""Functions on codes and identifiers: countries, languages, currencies, organisation and VAT numbers, domains."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from stdnum.eu import vat
from stdnum.exceptions import ValidationError as NumberError

from integrations.connector import Value
from mappings import identifiers
from mappings.expressions.functions.arguments import need_text, refuse
from mappings.expressions.messages import _
from mappings.expressions.registry import function
from mappings.expressions.values import is_blank

_GROUP = "Codes"
_COUNTRIES = Path(__file__).resolve().parent.parent / "countries.json"
_CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD
    CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT
    LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR
    NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP
    STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF
    XPF YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905
)
_LANGUAGES = {
    "sv": ("swedish", "svenska", "se", "swe"),
    "en": ("english", "engelska", "eng", "gb", "us"),
    "nb": ("norwegian", "norska", "no", "nor", "nb", "norsk"),
    "da": ("danish", "danska", "dk", "dan", "dansk"),
    "fi": ("finnish", "finska", "fin", "suomi"),
    "de": ("german", "tyska", "deu", "ger", "deutsch"),
    "fr": ("french", "franska", "fra", "fre", "français"),
    "es": ("spanish", "spanska", "spa", "español"),
    "nl": ("dutch", "nederländska", "nld", "nederlands"),
    "pl": ("polish", "polska", "pol", "polski"),
}
_PHONE = re.compile(r"\+?[0-9]{5,15}\Z")


@cache
def _countries() -> dict[str, str]:
    names: dict[str, str] = {}
    for code, spellings in json.loads(_COUNTRIES.read_text(encoding="utf-8")).items():
        for spelling in (code, *spellings):
            names.setdefault(spelling.casefold(), code)
    return names


@function(
    'lookup(value, "value map")',
    'lookup(invoice.InvoiceType, "Invoice type")',
    "Invoice",
    group=_GROUP,
    arguments=(2, 2),
    form="lookup",
)
def lookup(value: Value, table: Value) -> Value:
    """The value translated by a value map. Unknown values stop, become the map's default, or pass, as it says."""
    raise AssertionError("compiled into a look-up node")  # pragma: no cover


@function("country(value)", "country(customer.Country)", "SE", group=_GROUP, arguments=(1, 1))
def country(value: Value) -> Value:
    """The two-letter code of a country, from its code or its English or Swedish name."""
    if is_blank(value):
        return None
    code = _countries().get(need_text(value, "country").strip().casefold())
    if code is None:
        raise refuse("country", value, _("a country"), _("Correct it at the source, or use a value map."))
    return code


@function("language(value)", 'language("Svenska")', "sv", group=_GROUP, arguments=(1, 1))
def language(value: Value) -> Value:
    """The two-letter code of a language, from its code or its English or Swedish name."""
    if is_blank(value):
        return None
    word = re.split(r"[-_]", need_text(value, "language").strip().casefold()[:50])[0]
    for code, names in _LANGUAGES.items():
        if word == code or word in names:
            return code
    raise refuse("language", value, _("a language"), _("Use a value map for other languages."))


@function("currency(value)", 'currency(" eur ")', "EUR", group=_GROUP, arguments=(1, 1))
def currency(value: Value) -> Value:
    """The ISO code of a currency in capital letters."""
    if is_blank(value):
        return None
    code = need_text(value, "currency").strip().upper()
    if code not in _CURRENCIES:
        raise refuse("currency", value, _("a currency"), _("Currencies are ISO codes such as SEK or EUR."))
    return code


@function("orgnr(value)", "orgnr(customer.OrganisationNumber)", "556016-0680", group=_GROUP, arguments=(1, 1))
def orgnr(value: Value) -> Value:
    """A Swedish organisation number, checked by its check digit, written NNNNNN-NNNN."""
    if is_blank(value):
        return None
    number = identifiers.organisation_number(need_text(value, "orgnr")[:100])
    if not number:
        raise refuse(
            "orgnr",
            value,
            _("a Swedish organisation number"),
            _("Correct the number at the source; ten digits with a valid check digit."),
        )
    return f"{number[:6]}-{number[6:]}"


@function("is_orgnr(value)", "is_orgnr(customer.OrganisationNumber)", True, group=_GROUP, arguments=(1, 1))
def is_orgnr(value: Value) -> Value:
    """Whether the text is a Swedish organisation number with a valid check digit; nothing is none."""
    return not is_blank(value) and bool(identifiers.organisation_number(need_text(value, "is_orgnr")[:100]))


@function("vat_number(value)", 'vat_number("SE 556016-0680 01")', "SE556016068001", group=_GROUP, arguments=(1, 1))
def vat_number(value: Value) -> Value:
    """A VAT number of the European Union with its country code, checked by its check digits."""
    if is_blank(value):
        return None
    text = need_text(value, "vat_number").strip()
    try:
        if len(text) > 40 or not text.isascii():
            raise NumberError
        return str(vat.validate(text.upper()))
    except NumberError:
        raise refuse(
            "vat_number",
            value,
            _("an EU VAT number"),
            _("Correct the number at the source; it begins with the country code, such as SE."),
        ) from None


@function("phone(value)", "phone(customer.Phone1)", "+4681234567", group=_GROUP, arguments=(1, 2))
def phone(value: Value, calling_code: Value = "46") -> Value:
    """A phone number in international form; numbers without country code get the given one (46, Sweden)."""
    if is_blank(value):
        return None
    code = need_text(calling_code, "phone").strip().removeprefix("+")
    text = re.sub(r"[\s()./\-\u2013\u00a0]", "", need_text(value, "phone")[:100].replace("(0)", ""))
    if text.startswith("00"):
        text = "+" + text[2:]
    elif text.startswith("0"):
        text = f"+{code}{text[1:]}"
    if not code.isdecimal() or not code.isascii() or not _PHONE.match(text):
        raise refuse("phone", value, _("a phone number"), _("Correct the number at the source."))
    return text


@function("domain(value)", "domain(customer.WWW)", "akersjarn.se", group=_GROUP, arguments=(1, 1))
def domain(value: Value) -> Value:
    """The internet domain of a web or e-mail address; nothing for freemail providers and for other text."""
    return None if is_blank(value) else identifiers.company_domain(need_text(value, "domain")) or None


@function("email_domain(value)", "email_domain(customer.Email)", "akersjarn.se", group=_GROUP, arguments=(1, 1))
def email_domain(value: Value) -> Value:
    """The domain of an e-mail address; nothing for freemail providers and for text that is no address."""
    return None if is_blank(value) else identifiers.email_domain(need_text(value, "email_domain")) or None
