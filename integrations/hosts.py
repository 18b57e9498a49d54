"""Where tokens may travel (SEC-15): the allow-list of hosts, and connections that refuse everything else.

Every address is judged twice: the URL before anything is opened, and the peer's IP address after the TCP connection
stands and before a byte is sent (so that a name that resolves to an inner address, or changes its mind between two
look-ups, gets nothing). The invariant: no request leaves for a host that is not on the list, in clear text, on an odd
port, or to a private address, except to hosts that `EXTRA_ALLOWED_HOSTS` names (the sandbox).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.util.retry import Retry

from integrations.errors import InvalidData, Misconfigured

# The vendors' own hosts, as their references name them; HubSpot serves its pages from one host per data centre.
VENDOR_HOSTS: dict[str, frozenset[str]] = {
    "fortnox": frozenset({"api.fortnox.se", "apps.fortnox.se", "ws.fortnox.se"}),
    "hubspot": frozenset(
        {"api.hubapi.com"} | {f"app{suffix}.hubspot.com" for suffix in ("", "-eu1", "-na1", "-na2", "-na3", "-ap1")}
    ),
}
# Every Salesforce org has hosts of its own (My Domain), also as a sandbox or on a partitioned domain. Salesforce owns
# all of salesforce.com, so a name below it is theirs; the pages' domains (lightning, force.com) never get a token.
VENDOR_HOST_PATTERNS: dict[str, re.Pattern[str]] = {
    "salesforce": re.compile(r"(?:login|test|[a-z0-9][a-z0-9-]{0,80}(?:\.[a-z0-9-]{1,40})?\.my)\.salesforce\.com"),
}
_PLAIN_HOST = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_BAD_CHARACTERS = re.compile(r"[^!-~]|\\")  # controls, blanks, backslashes and everything outside ASCII


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: a gateway connects to the IPv4 address at its end
# IPv4-compatible and IPv4-translated addresses, and a network's own translation prefix (RFC 8215).
_INNER_NETWORKS = tuple(map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48")))


class ForbiddenAddress(Misconfigured):
    """A request was about to leave for an address that is not allowed. Nothing was sent."""


def _forbidden(url: str, why: str) -> ForbiddenAddress:
    shown = re.sub(r"//[^/@]*@", "//•••@", url)[:100]
    return ForbiddenAddress(f"Refused to send to {shown!r}: {why}", code="forbidden_address")


def _extra(host: str, port: int) -> bool:
    """Whether settings allow this host, given with or without its port."""
    names = {entry.strip().lower() for entry in settings.EXTRA_ALLOWED_HOSTS}
    return host in names or f"{host}:{port}" in names


def check_url(url: str, system: str = "") -> tuple[str, str, int, bool]:
    """(scheme, host, port, is extra) of an address that may be used; raises `ForbiddenAddress` otherwise.

    With `system` only that vendor's hosts count, without it those of every vendor. User info, fragments, blanks,
    non-ASCII (IDN) names, trailing dots, IP literals and ports other than 443 are refused whatever the host.
    """
    if _BAD_CHARACTERS.search(url):
        raise _forbidden(url, "characters that do not belong in an address")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _forbidden(url, "not an address") from None
    host = (parts.hostname or "").lower()
    if "@" in parts.netloc or "#" in url:
        raise _forbidden(url, "user information or a fragment")
    if parts.scheme not in {"http", "https"} or not host:
        raise _forbidden(url, "not a web address")
    effective = port if port is not None else (443 if parts.scheme == "https" else 80)
    if _extra(host, effective):
        return parts.scheme, host, effective, True
    if not _PLAIN_HOST.fullmatch(host) or host.startswith("xn--") or ".xn--" in host:
        raise _forbidden(url, "not a plain host name")
    known = VENDOR_HOSTS.get(system) if system else frozenset().union(*VENDOR_HOSTS.values())
    patterns = [VENDOR_HOST_PATTERNS.get(system)] if system else list(VENDOR_HOST_PATTERNS.values())
    matched = any(pattern is not None and pattern.fullmatch(host) for pattern in patterns)
    if host not in (known or frozenset()) and not matched:
        raise _forbidden(url, "the host is not on the allow-list")
    if parts.scheme != "https" or effective != 443:
        raise _forbidden(url, "only https on port 443")
    return parts.scheme, host, effective, False


def path_only(url: str) -> str:
    """Path and query of an address that a vendor sent us (`@url`, `next`); the host in it is never believed."""
    parts = urlsplit(url)
    path = "/" + parts.path.lstrip("/")
    check_path(path)
    return path + (f"?{parts.query}" if parts.query else "")


def check_path(path: str) -> None:
    """Raise `InvalidData` for a path that could climb out of the API (dot segments, an authority, a query)."""
    segments = path.replace("%2e", ".").replace("%2E", ".").split("/")
    if (
        not path.startswith("/")
        or path.startswith("//")
        or {".", ".."} & set(segments)
        or re.search(r"[^!-~]|[\\?#]", path)
    ):
        raise InvalidData(f"Not a usable path: {path[:80]!r}", code="bad_path")


def path_key(key: str) -> str:
    """A record key as one path segment, percent-encoded. Raises `InvalidData` for "", "." and ".."."""
    if key in {"", ".", ".."}:
        raise InvalidData(f"{key!r} cannot be the key of a record", code="bad_key", value=key)
    return quote(key, safe="")


def _is_inner(peer: str) -> bool:
    """Whether the peer's address is not a public one, or stands for an IPv4 address that is not."""
    address = ipaddress.ip_address(peer.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.is_site_local or any(address in network for network in _INNER_NETWORKS):
            return True
        inside = address.ipv4_mapped or address.sixtofour
        if inside is None and address in _TRANSLATED:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is not None:
            return not inside.is_global or inside.is_multicast
    return not address.is_global or address.is_multicast


def _refuse_inner(connection: HTTPConnection, peer: str) -> None:
    """Close and fail unless the peer's address is public."""
    if _is_inner(peer):
        raise NewConnectionError(connection, f"the name resolves to the inner address {peer}")


def open_socket(url: str, system: str, timeout: float) -> socket.socket:
    """A TCP connection to an allowed `ws(s)` address, before a byte is sent. Raises `ForbiddenAddress`, `OSError`."""
    web = re.sub(r"^ws(?=s?://)", "http", url)
    _scheme, host, port, extra = check_url(web, system)
    sock = socket.create_connection((host, port), timeout)
    if not extra and _is_inner(sock.getpeername()[0]):
        sock.close()
        raise _forbidden(url, "the name resolves to an inner address")
    return sock


class _Guarded:
    """Mixed into urllib3's connections: checks the peer, and makes TLS trouble a *connect* failure.

    urllib3 reports a failed TLS handshake like a connection that broke in mid-air. The difference decides whether a
    write may have happened, so everything before the first byte of a request becomes `NewConnectionError`.
    """

    host: str
    port: int

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        if not _extra(self.host.strip("[]").lower(), self.port):
            try:
                _refuse_inner(self, sock.getpeername()[0])  # type: ignore[arg-type]
            except Exception:
                sock.close()
                raise
        return sock

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except OSError as error:
            raise NewConnectionError(self, f"connecting failed: {error}") from error  # type: ignore[arg-type]


class _PlainConnection(_Guarded, HTTPConnection):
    pass


class _SecureConnection(_Guarded, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class GuardedAdapter(HTTPAdapter):
    """The transport of every session: allow-listed addresses only, no redirects, no proxies, bounded time."""

    def __init__(self, *, system: str = "", connect_retries: int = 0, pool_size: int = 16) -> None:
        self.system = system
        # Retry-After is ours to obey: urllib3 would otherwise repeat a 429 by itself, whatever `status` says.
        retry = Retry(
            total=connect_retries,
            connect=connect_retries,
            read=0,
            redirect=0,
            status=0,
            other=0,
            backoff_factor=0.2,
            respect_retry_after_header=False,
        )
        super().__init__(pool_connections=4, pool_maxsize=pool_size, max_retries=retry)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests does it, after the address was checked; certificates are always verified."""
        check_url(request.url or "", self.system)
        kwargs["proxies"] = {}
        kwargs["verify"] = True
        if not kwargs.get("timeout"):
            kwargs["timeout"] = (5.0, float(settings.HTTP_TIMEOUT_SECONDS))
        return super().send(request, *args, **kwargs)
