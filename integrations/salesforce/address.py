"""Where an org signs in and where its pages are, from whatever address a person copied.

Salesforce: every org has a My Domain, `<name>.my.salesforce.com` (a sandbox `<name>--<sandbox>.sandbox.my…`); its pages
are on `<name>.lightning.force.com`, which answers no API call. The invariant: what comes out of `sign_in_address` is
on the allow-list, so that a secret may be sent there.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from integrations.errors import InvalidData
from integrations.hosts import ForbiddenAddress, check_url

PRODUCTION = "https://login.salesforce.com"
SANDBOX = "https://test.salesforce.com"
_PAGES = re.compile(r"(?P<name>[a-z0-9.-]+?)\.(?:lightning\.force\.com|my\.salesforce-setup\.com)")
_HOST = re.compile(r"[a-z0-9-]{1,80}(?:\.[a-z0-9-]{1,40})?\.my\.salesforce\.com")
_BARE = re.compile(r"[a-z0-9][a-z0-9-]{0,80}")


def sign_in_address(text: str) -> str:
    """The sign-in address for what a person typed: a My Domain name or address, the address of a Lightning or set-up
    page, or one of the two general login pages. Raises `InvalidData` when it is not Salesforce's."""
    typed = text.strip().rstrip("/")
    if not typed:
        raise InvalidData("The address is empty", code="not_salesforce")
    if _BARE.fullmatch(typed.lower()):
        typed = f"{typed}.my.salesforce.com"
    url = typed if "://" in typed else f"https://{typed}"
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
        extra = check_url(url, "salesforce")[3]
    except ForbiddenAddress:
        extra = False
    except ValueError:
        raise InvalidData(f"{text[:80]!r} is not an address", code="not_salesforce", value=text) from None
    if extra:  # the sandbox keeps its orgs behind paths
        return url.rstrip("/")
    if pages := _PAGES.fullmatch(host):
        host = f"{pages['name']}.my.salesforce.com"
    if parts.scheme != "https" or port not in {None, 443} or "@" in parts.netloc:
        raise _not_salesforce(text)
    if f"https://{host}" not in {PRODUCTION, SANDBOX} and not _HOST.fullmatch(host):
        raise _not_salesforce(text)
    return f"https://{host}"


def is_my_domain(address: str) -> bool:
    """Whether a sign-in address is one org's own, which service accounts need."""
    host = urlsplit(address).hostname or ""
    return bool(_HOST.fullmatch(host)) or "/my/" in urlsplit(address).path


def login_audience(address: str) -> str:
    """The general login page of the kind of org behind an address: what a signed assertion is made out to."""
    host, path = urlsplit(address).hostname or "", urlsplit(address).path
    sandbox = address == SANDBOX or host.endswith(".sandbox.my.salesforce.com") or path.endswith("/test")
    return SANDBOX if sandbox else PRODUCTION


def pages_address(instance_url: str) -> str:
    """Where people look at records: the Lightning host of a My Domain; an address of the sandbox is its own."""
    host = urlsplit(instance_url).hostname or ""
    if not _HOST.fullmatch(host):
        return instance_url
    return f"https://{host.removesuffix('.my.salesforce.com')}.lightning.force.com"


def _not_salesforce(text: str) -> InvalidData:
    return InvalidData(f"{text[:80]!r} is not an address of Salesforce", code="not_salesforce", value=text)
