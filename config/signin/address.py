"""Whose address a request came from, as far as it can be believed.

Anybody can write an `X-Forwarded-For` header, so it is read from its end, and only as far as the addresses on the way
are our own proxies (`TRUSTED_PROXIES`). Without that setting the address of the connection counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

UNIX = "unix"
"""Stands in the setting for a proxy that reaches us through a socket file, where connections have no address."""

Network = IPv4Network | IPv6Network


@lru_cache
def networks(names: tuple[str, ...]) -> tuple[Network, ...]:
    """The trusted proxies as networks. Raises `ValueError` for what is none."""
    return tuple(ip_network(name) for name in names if name != UNIX)


def client_address(request: HttpRequest) -> str | None:
    """The address of the client: the last one on the way that is not a proxy of ours; None when there is none."""
    here = str(request.META.get("REMOTE_ADDR") or "")
    names = tuple(settings.TRUSTED_PROXIES)
    if not (_trusted(here, networks(names)) or (not here and UNIX in names)):
        return here if _valid(here) else None
    forwarded = [part.strip() for part in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")]
    for address in reversed(forwarded):
        if not _valid(address):
            break
        here = address
        if not _trusted(address, networks(names)):
            break
    return here if _valid(here) else None


def _valid(address: str) -> bool:
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def _trusted(address: str, proxies: Iterable[Network]) -> bool:
    return _valid(address) and any(ip_address(address) in proxy for proxy in proxies)
