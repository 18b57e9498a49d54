"""The world: one seed, one clock, one lock and the emulators that live in it.

Every emulator offers the interface ``Emulator``; its module is ``sandbox.<system>.emulator`` and names its
class in the module constant ``EMULATOR``. The application holds ``World.lock`` around every call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from werkzeug import Request, Response

from .clock import Clock
from .faults import Faults
from .journal import Journal
from .truth import Truth


@dataclass
class Sizes:
    """How much is there at the start; ``accounts`` counts the CRM's companies, ``deals`` what waits for an invoice."""

    customers: int = 300
    articles: int = 200
    invoices: int = 500
    accounts: int = 40
    deals: int = 0
    empty: bool = False


@dataclass(frozen=True)
class Account:
    """One vendor account and the OAuth application that may connect to it."""

    system: str
    account: str
    client_id: str
    client_secret: str


class Emulator(Protocol):
    """What every vendor emulator offers to the core."""

    system: str

    def __init__(self, world: World) -> None: ...

    def accounts(self) -> list[Account]:
        """The accounts that exist, the main one first."""
        ...

    def token(self, account: str | None) -> tuple[str, str]:
        """(account, access token): valid, all scopes."""
        ...

    def records(self, account: str, object_name: str) -> list[dict[str, Any]]:
        """Raw and complete, each with created_at, updated_at and created_by_request."""
        ...

    def account_of(self, request: Request) -> str | None:
        """Whose account a request concerns, for the journal."""
        ...

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request; ``path`` comes after the ``/<system>`` prefix."""
        ...


@runtime_checkable
class Editable(Protocol):
    """An emulator whose records can be changed as a person would in the vendor's user interface."""

    def edit_record(
        self, account: str, object_name: str, record_id: str | None, fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Change a record, or create it when the id is absent or unknown; returns it raw."""
        ...

    def delete_record(self, account: str, object_name: str, record_id: str) -> None:
        """Remove a record; KeyError when there is none."""
        ...


@runtime_checkable
class Disconnectable(Protocol):
    """An emulator where the account's owner can remove the integration."""

    def disconnect(self, account: str) -> None:
        """End every grant of this account."""
        ...


@runtime_checkable
class Notifying(Protocol):
    """An emulator that sends webhooks."""

    def send_webhooks(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change where and how they are sent; returns what became of those sent so far."""
        ...


@runtime_checkable
class FaultVoice(Protocol):
    """An emulator that words injected error statuses as its vendor does."""

    def fault_response(self, status: int, request: Request) -> Response:
        """The vendor's body and headers for an injected status."""
        ...


Factory = Callable[["World"], Emulator]


class World:
    """Everything the sandbox knows; ``reset`` makes it new."""

    def __init__(
        self,
        factories: Mapping[str, Factory] | None = None,
        *,
        seed: int = 1,
        sizes: Sizes | None = None,
        limits: bool = True,
        latency: float = 0.0,
        time_factor: float = 1.0,
        limit_factor: float = 1.0,
        search_lag: float = 0.0,
        webhook_url: str = "",
        app_url: str = "http://localhost:8000",
    ) -> None:
        self.seed = seed
        self.webhook_url = webhook_url  # kept through resets
        self.app_url = app_url  # where the host pages find the app that they embed; kept through resets
        self.sizes = sizes or Sizes()
        self.lock = threading.RLock()
        self.emulators: dict[str, Emulator] = {}
        self._factories = dict(factories or {})
        self._start_settings: dict[str, Any] = {
            "limits": limits,
            "latency": latency,
            "time_factor": time_factor,
            "limit_factor": limit_factor,
            "search_lag": search_lag,
        }
        self.reset()

    def reset(self, *, seed: int | None = None, sizes: Sizes | None = None) -> None:
        """A fresh world: clock, faults, journal, settings and all records."""
        with self.lock:
            self.seed = self.seed if seed is None else seed
            self.sizes = replace(sizes or self.sizes)
            self.limits: bool = self._start_settings["limits"]
            self.latency: float = self._start_settings["latency"]
            self.limit_factor: float = self._start_settings["limit_factor"]
            self.search_lag: float = self._start_settings["search_lag"]
            self.options: dict[str, Any] = {}
            self._governed: dict[str, Callable[[Any], Any]] = {}
            self.clock = Clock(self._start_settings["time_factor"])
            self.faults = Faults()
            self.journal = Journal()
            self.truth = Truth(self)
            self.emulators = {system: make(self) for system, make in self._factories.items()}

    @property
    def time_factor(self) -> float:
        """Sandbox seconds per real second."""
        return self.clock.factor

    def limit_time(self) -> float:
        """The seconds by which rate windows are counted: sandbox time, ``limit_factor`` times as fast. Tokens and
        records keep their own pace, so a hurried demonstration does not see its tokens expire early."""
        return self.clock.time() * self.limit_factor

    def declare(self, **defaults: Any) -> None:
        """Called by an emulator's constructor: the options it reads from ``World.options``."""
        for name, value in defaults.items():
            self.options.setdefault(name, value)

    def govern(self, name: str, apply: Callable[[Any], Any]) -> None:
        """An option that its emulator carries out itself: ``apply`` takes what was sent, raises ValueError when that
        is wrong, and returns what is shown."""
        self._governed[name] = apply
        self.options[name] = apply({})

    def configure(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Change settings while running; an unknown name is refused. Returns all settings."""
        for name, value in settings.items():
            if name == "limits":
                self.limits = bool(value)
            elif name == "latency_ms":
                self.latency = float(value) / 1000
            elif name == "time_factor":
                self.clock.set_factor(float(value))
            elif name == "limit_factor":
                self.limit_factor = float(value)
            elif name == "search_lag":
                self.search_lag = float(value)
            elif name == "app_url":
                self.app_url = str(value)
            elif name in self._governed:
                self.options[name] = self._governed[name](value)
            elif name in self.options:
                self.options[name] = value
            else:
                raise ValueError(f"unknown setting {name}; known: {sorted(self.settings())}")
        return self.settings()

    def settings(self) -> dict[str, Any]:
        """The settings in the form ``configure`` takes."""
        return {
            "limits": self.limits,
            "latency_ms": self.latency * 1000,
            "time_factor": self.time_factor,
            "limit_factor": self.limit_factor,
            "search_lag": self.search_lag,
            "app_url": self.app_url,
            **self.options,
        }
