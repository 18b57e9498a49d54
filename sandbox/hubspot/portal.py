"""One HubSpot account: its settings, people, definitions, records and links. Portals share nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import times
from .associations import Associations
from .definitions import Option, Schema
from .index import SearchIndex
from .kinds import COMPANIES, CONTACTS, DEALS, KINDS, LINE_ITEMS, Kind
from .pipelines import Pipeline, default_pipeline
from .standard import schema
from .store import Record, Source, Store

CURRENCY_NAMES = {
    "SEK": "Swedish Krona",
    "EUR": "Euro",
    "NOK": "Norwegian Krone",
    "DKK": "Danish Krone",
    "USD": "US Dollar",
    "GBP": "British Pound",
    "CHF": "Swiss Franc",
    "PLN": "Polish Zloty",
    "JPY": "Japanese Yen",
    "AUD": "Australian Dollar",
    "CAD": "Canadian Dollar",
    "BRL": "Brazilian Real",
}
FOUNDED = 1_768_035_600_000  # 2026-01-10T09:00:00Z, when the portals were opened


@dataclass(slots=True)
class Owner:
    """A user that records can be assigned to."""

    id: str
    user_id: int
    email: str
    first_name: str
    last_name: str
    team: str | None = None
    archived: bool = False

    def to_json(self) -> dict[str, Any]:
        """The PublicOwner resource; an archived owner has lost its user."""
        body: dict[str, Any] = {
            "id": self.id,
            "email": self.email,
            "type": "PERSON",
            "firstName": self.first_name,
            "lastName": self.last_name,
            "userId": None if self.archived else self.user_id,
            "userIdIncludingInactive": self.user_id,
            "createdAt": "2025-12-25T13:01:35.228Z",
            "updatedAt": "2026-08-22T13:40:26.790Z",
            "archived": self.archived,
        }
        if self.team:
            body["teams"] = [{"id": "368389", "name": self.team, "primary": True}]
        return body


@dataclass(slots=True)
class ExchangeRate:
    """How an additional currency turns into the company currency."""

    id: str
    code: str
    to_code: str
    rate: float
    effective: int
    updated: int
    visible: bool = True

    def to_json(self) -> dict[str, Any]:
        """The ExchangeRate resource."""
        return {
            "id": self.id,
            "fromCurrencyCode": self.code,
            "toCurrencyCode": self.to_code,
            "conversionRate": self.rate,
            "effectiveAt": times.iso(self.effective),
            "createdAt": times.iso(self.effective),
            "updatedAt": times.iso(self.updated),
            "visibleInUI": self.visible,
        }


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A percentage a line item can refer to."""

    id: str
    name: str
    label: str
    percentage: float
    active: bool = True

    def to_json(self) -> dict[str, Any]:
        """The PublicTaxRateGroup resource."""
        return {
            "id": self.id,
            "name": self.name,
            "label": self.label,
            "percentageRate": self.percentage,
            "active": self.active,
            "createdAt": times.iso(FOUNDED),
            "updatedAt": times.iso(FOUNDED),
        }


@dataclass(slots=True)
class Profile:
    """What distinguishes one portal from another."""

    id: int
    name: str
    domain: str
    currency: str
    additional: list[str]
    hublet: str
    owners: list[Owner]
    tax_rates: list[TaxRate] = field(default_factory=list)
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def ui_domain(self) -> str:
        """Where the account's pages live."""
        return f"app-{self.hublet}.hubspot.com" if self.hublet != "na1" else "app.hubspot.com"


class Portal:
    """The whole of one account."""

    def __init__(self, profile: Profile, lag: Callable[[], float], now: Callable[[], float]) -> None:
        self.profile = profile
        self.id = profile.id
        shift = 0 if profile.hublet == "eu1" else 7_000_003
        self.stores = {kind.type_id: Store(kind.first_id + shift) for kind in KINDS}
        self.indexes = {kind.type_id: SearchIndex(self.stores[kind.type_id], lag, now) for kind in KINDS}
        currencies = [profile.currency, *profile.additional]
        self.schemas: dict[str, Schema] = {k.type_id: schema(k, FOUNDED, currencies) for k in KINDS}
        self.links = Associations(self._recount)
        self.pipelines: dict[str, Pipeline] = {"default": default_pipeline(FOUNDED)}
        self.exchange_rates: list[ExchangeRate] = []
        self.required: dict[str, list[str]] = {}  # type id → names an admin made mandatory in the create form
        self.conditional: dict[str, list[tuple[str, str]]] = {}  # type id → (when this has a value, this must)
        # Told of every change a webhook may speak of: what, type id, source, moment, and the rest of the event.
        self.notify: Callable[[str, str, Source, int, dict[str, Any]], None] = lambda *event: None
        self.acting = (Source("CRM_UI", "userId:0"), 0)  # who changes links, and when: they are kept without either
        # Told of every committed write: object, action, id, request number.
        self.witness: Callable[[str, str, str, int | None], None] = lambda *deed: None
        self._serial = 11_348_541 + shift
        for code, rate in profile.rates.items():
            self.set_rate(code, rate, FOUNDED)
        self.stores[CONTACTS.type_id].index("email")
        self.refresh_options()

    @property
    def currencies(self) -> list[str]:
        """Company currency first."""
        return [self.profile.currency, *self.profile.additional]

    def serial(self) -> str:
        """The next numeric id of a pipeline, stage or rate."""
        self._serial += 1
        return str(self._serial)

    def set_rate(self, code: str, rate: float, now: int) -> ExchangeRate:
        """Record a rate from its moment on."""
        entry = ExchangeRate(self.serial(), code, self.profile.currency, rate, now, now)
        self.exchange_rates.append(entry)
        return entry

    def rate(self, code: str) -> float:
        """The present rate into the company currency."""
        if code == self.profile.currency:
            return 1.0
        return next((r.rate for r in reversed(self.exchange_rates) if r.code == code), 1.0)

    def add_currency(self, code: str) -> None:
        """A further currency; the second one brings the properties that only make sense with several."""
        self.profile.additional.append(code)
        for kind in KINDS:
            own = self.schemas[kind.type_id]
            for definition in schema(kind, FOUNDED, self.currencies).active.values():
                if definition.name not in own.active:
                    own.add(definition)
        self.refresh_options()

    def change_currency(self, code: str) -> None:
        """Another company currency; the former one stays as an additional one, because records use it."""
        former = self.profile.currency
        if code != former:
            self.profile.currency = code
            self.profile.additional = [c for c in self.profile.additional if c != code]
            self.add_currency(former)

    def store(self, kind: Kind) -> Store:
        """Records of a type."""
        return self.stores[kind.type_id]

    def schema(self, kind: Kind) -> Schema:
        """Definitions of a type."""
        return self.schemas[kind.type_id]

    def owner_ids(self) -> set[str]:
        """Owners that can be assigned."""
        return {owner.id for owner in self.profile.owners if not owner.archived}

    def url(self, kind: Kind, record_id: int) -> str:
        """The record's page in the user interface."""
        return f"https://{self.profile.ui_domain}/contacts/{self.id}/record/{kind.type_id}/{record_id}"

    def refresh_options(self) -> None:
        """Owners, currencies, pipelines, stages and tax rates are options of standard properties."""
        owners = [Option(o.id, f"{o.first_name} {o.last_name}") for o in self.profile.owners if not o.archived]
        for kind in KINDS:
            self._set_options(kind, "hubspot_owner_id", owners)
        codes = [Option(c, CURRENCY_NAMES.get(c, c), n) for n, c in enumerate(self.currencies)]
        self._set_options(DEALS, "deal_currency_code", codes)
        self._set_options(LINE_ITEMS, "hs_line_item_currency_code", codes)
        rates = [Option(t.id, t.label) for t in self.profile.tax_rates]
        self._set_options(LINE_ITEMS, "hs_tax_rate_group_id", rates)
        pipelines = [Option(p.id, p.label, p.order) for p in self.pipelines.values()]
        self._set_options(DEALS, "pipeline", pipelines)
        stages = [Option(s.id, s.label, s.order) for p in self.pipelines.values() for s in p.ordered()]
        self._set_options(DEALS, "dealstage", stages)

    def _set_options(self, kind: Kind, name: str, options: list[Option]) -> None:
        definition = self.schemas[kind.type_id].active.get(name)
        if definition is not None:
            definition.set_options(options)

    def _recount(self, one: str, record_id: int, other: str) -> None:
        """Counts of linked records are calculated properties; they do not touch the modification date."""
        name = _COUNTED.get((one, other))
        record = self.stores[one].records.get(record_id)
        if name is None or record is None:
            return
        live = [t for t in self.links.targets(one, record_id, other) if self.stores[other].live(t)]
        record.values[name] = str(len(live))

    def linked_records(self, one: Kind, record_id: int, other: Kind) -> list[Record]:
        """Live records of another type this one is linked with."""
        store = self.store(other)
        found = (store.live(target) for target in self.links.targets(one.type_id, record_id, other.type_id))
        return [record for record in found if record is not None]


_COUNTED = {
    (COMPANIES.type_id, DEALS.type_id): "num_associated_deals",
    (COMPANIES.type_id, CONTACTS.type_id): "num_associated_contacts",
    (CONTACTS.type_id, DEALS.type_id): "num_associated_deals",
    (DEALS.type_id, CONTACTS.type_id): "num_associated_contacts",
    (DEALS.type_id, LINE_ITEMS.type_id): "num_of_associated_line_items",
}
