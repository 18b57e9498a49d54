"""Identifiers people share between systems: organisation numbers, domains, e-mail addresses. Pure and offline.

The invariant: a reader gives the one canonical spelling of an identifier, or "" when the text does not hold one that
can identify anybody (a bad check digit, a freemail domain, a shared mailbox).
"""

from __future__ import annotations

import re

from stdnum import luhn

FREEMAIL = frozenset(
    """
    aol.com bredband.net bredband2.com comhem.se fastmail.com gmail.com gmx.com gmx.de gmx.net
    googlemail.com hey.com hotmail.co.uk hotmail.com hotmail.se icloud.com live.com live.se mac.com
    mail.com mail.ru me.com msn.com outlook.com outlook.se passagen.se pm.me proton.me protonmail.com
    spray.se swipnet.se tele2.se telia.com telia.se tutanota.com web.de yahoo.co.uk yahoo.com yahoo.se
    ymail.com yandex.com
    """.split()  # noqa: SIM905
)
SHARED_MAILBOXES = frozenset(
    """
    accounting accounts admin billing contact economy ekonomi epost faktura fakturor finance hello hej
    info invoice invoices kontakt kontoret kundservice kundtjanst mail noreply no-reply office order
    orders post reception sales support webmaster
    """.split()  # noqa: SIM905
)
_NOT_DIGIT = re.compile(r"[^0-9]")
_ADDRESS = re.compile(r"[^@\s<>,;]+@([^@\s<>,;]+)\Z")
_HOST = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\Z")
MAX_LENGTH = 500


def digits(text: str) -> str:
    """The digits of the text."""
    return _NOT_DIGIT.sub("", text)


def organisation_number(text: str) -> str:
    """Ten digits with a valid check digit, or "". Reads `556016-0680`, `165560160680` and `SE556016068001`."""
    plain = text.strip()
    number = digits(plain)
    if plain[:2].upper() == "SE" and len(number) == 12 and number.endswith("01"):
        number = number[:10]
    elif len(number) == 12 and number[:2] in {"16", "18", "19", "20"}:
        # 16 marks an organisation; a century means a personal number, which sole traders invoice under.
        number = number[2:]
    if len(number) != 10 or number == "0" * 10 or not luhn.is_valid(number):
        return ""
    return number


def host(text: str) -> str:
    """The bare lower-case host of an address or e-mail address: no scheme, `www.`, port, path; "" if none."""
    plain = text.strip().lower()
    if len(plain) > MAX_LENGTH:
        return ""
    plain = plain.partition("://")[2] or plain
    plain = re.split(r"[/?#\s]", plain, maxsplit=1)[0].rpartition("@")[2]
    plain = plain.partition(":")[0].rstrip(".").removeprefix("www.")
    try:
        plain = plain.encode("idna").decode() if not plain.isascii() else plain
    except UnicodeError:
        return ""
    return plain if _HOST.match(plain) else ""


def company_domain(text: str) -> str:
    """The host, unless it is a freemail provider's, which identifies nobody."""
    name = host(text)
    return "" if name in FREEMAIL else name


def email_domain(text: str) -> str:
    """The company domain of an e-mail address; "" for freemail and for text that is no address."""
    plain = text.strip()
    if len(plain) > MAX_LENGTH or not _ADDRESS.match(plain):
        return ""
    return company_domain(plain.rpartition("@")[2])


def personal_email(text: str) -> str:
    """The lower-case address when it can identify one customer: not freemail, not a shared mailbox (SA13)."""
    plain = text.strip().lower()
    if not email_domain(plain) or plain.partition("@")[0] in SHARED_MAILBOXES:
        return ""
    return plain
