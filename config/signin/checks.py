"""System checks of signing in: settings under which the brake would lock out everybody, or nobody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import Error, register

from config.signin.address import networks


@register()
def sign_in_settings(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Refuses proxies that are no addresses, a proxy that is not named, and trust in everybody."""
    return list(_proxies())


def _proxies() -> Iterator[Error]:
    try:
        found = networks(tuple(settings.TRUSTED_PROXIES))
    except ValueError as error:
        yield Error(
            f"TRUSTED_PROXIES: {error}.",
            hint="Give addresses or networks, separated by commas, such as 10.0.0.4,172.18.0.0/16; or the word unix.",
            id="ledgerbridge.E030",
        )
        return
    if any(network.prefixlen == 0 for network in found):
        yield Error(
            "TRUSTED_PROXIES trusts every address: anybody could pretend to come from anywhere, and guess for ever.",
            hint="Name the proxy's own address or network.", id="ledgerbridge.E031",
        )  # fmt: skip
    if settings.PRODUCTION and getattr(settings, "SECURE_PROXY_SSL_HEADER", None) and not settings.TRUSTED_PROXIES:
        yield Error(
            "BEHIND_PROXY is on and TRUSTED_PROXIES is empty: everybody would share the proxy's address, and five "
            "wrong passwords of anybody would lock out many.",
            hint="Set TRUSTED_PROXIES to the address or network that the proxy connects from.", id="ledgerbridge.E032",
        )  # fmt: skip
