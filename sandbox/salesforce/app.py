"""What an org's administrator decided about our app: its keys, its policies, and where its card is.

Salesforce: an external client app of distribution "Local" exists in one org only; keys and policies are that org's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

SESSION_LIFE = 7200.0
CHOICES = {
    "session_fault": ("", "expired", "not_for_rest"),
    "canvas_location": (
        "Chatter",
        "ChatterFeed",
        "MobileNav",
        "OpenCTI",
        "PageLayout",
        "Publisher",
        "ServiceDesk",
        "Visualforce",
        "None",
    ),
}
LOCAL_HOSTS = ("localhost", "127.0.0.1")


@dataclass(slots=True)
class Policies:
    """What the control interface may change while running. Seconds and days are sandbox time."""

    app_installed: bool = True
    user_active: bool = True  # false: whoever connected was deactivated since
    ip_restricted: bool = False
    preauthorized: bool = True  # for the JWT bearer flow and cards: approved by the administrator
    pkce_required: bool = True
    callback_urls: list[str] = field(default_factory=list)  # plain HTTP on this computer is always allowed
    rotation: bool = False  # a refresh replaces the refresh token; presenting an old one ends the grant
    access_token_seconds: float = SESSION_LIFE  # of inactivity
    idle_ttl_days: float = 0.0  # refresh tokens unused for longer end; 0: never
    run_as: str = ""  # user name of the client credentials flow; "": the integration user; "none": not chosen
    certificate: str = ""  # PEM, a public key or a certificate, for the JWT bearer flow
    session_fault: str = ""  # "expired" or "not_for_rest": every call is refused so
    late_commit_seconds: float = 0.0  # what people save is stamped at once and becomes visible so much later
    user_may_deploy: bool = False  # the integration user may deploy metadata too
    silent_users: list[str] = field(default_factory=list)  # user names that send no outbound messages
    canvas_url: str = ""
    canvas_location: str = "Visualforce"
    canvas_parameters: dict[str, Any] = field(default_factory=dict)
    self_authorize: bool = False  # users approve the card themselves, at their first visit
    hidden_records: dict[str, list[str]] = field(default_factory=dict)  # user name: ids that user cannot see

    def change(self, values: Mapping[str, Any]) -> None:
        """Set policies. ValueError for a value of another type, before anything is changed."""
        for name, value in values.items():
            wanted: Any = type(getattr(self, name))
            fits = isinstance(value, int | float) if wanted is float else isinstance(value, wanted)
            if not fits or (wanted is float and isinstance(value, bool)):
                raise ValueError(f"{name} must be {wanted.__name__}, not {value!r}")
            if name in CHOICES and value not in CHOICES[name]:
                raise ValueError(f"{name} must be one of {CHOICES[name]}, not {value!r}")
        for name, value in values.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        """The policies in the form ``change`` takes."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self)}


POLICIES = frozenset(entry.name for entry in fields(Policies))


@dataclass(slots=True)
class App:
    """An org's external client app."""

    client_id: str
    client_secret: str
    name: str = "Fortnox"
    developer_name: str = "Fortnox_Card"
    scopes: tuple[str, ...] = ("refresh_token", "api", "openid", "id", "profile", "email", "web")
    policies: Policies = field(default_factory=Policies)

    def redirect_allowed(self, uri: str) -> bool:
        """A registered callback address exactly, or plain HTTP on this computer."""
        parts = urlsplit(uri)
        local = parts.scheme == "http" and parts.hostname in LOCAL_HOSTS
        return uri in self.policies.callback_urls or (local and not parts.fragment)
