"""Routing below /3/: which resource, which verb, which scope."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from werkzeug import Request

from . import actions, errors, search
from .articles import Articles
from .customers import Customers
from .fields import as_decimal
from .invoices import Invoices
from .payments import Payments
from .prices import Prices, price_key
from .records import Record
from .registers import (
    Accounts,
    Currencies,
    FinancialYears,
    ModesOfPayments,
    PredefinedAccounts,
    PredefinedVoucherSeries,
    PriceLists,
    TermsOfPayments,
    Units,
    VoucherSeries,
)
from .render import dumps
from .resource import Resource
from .tenant import Call
from .vouchers import Vouchers

INVOICES, PAYMENTS, PRICES, VOUCHERS = Invoices(), Payments(), Prices(), Vouchers()
RESOURCES: dict[str, Resource] = {
    resource.name: resource
    for resource in (
        Customers(),
        Articles(),
        INVOICES,
        PAYMENTS,
        Units(),
        TermsOfPayments(),
        ModesOfPayments(),
        Currencies(),
        PriceLists(),
        PRICES,
        PredefinedAccounts(),
        Accounts(),
        FinancialYears(),
        VoucherSeries(),
        PredefinedVoucherSeries(),
        VOUCHERS,
    )
}
_COMPANY_FIELDS = {
    "Address": "Address",
    "City": "City",
    "CompanyName": "Name",
    "CountryCode": "CountryCode",
    "OrganizationNumber": "OrganizationNumber",
    "VisitAddress": "VisitAddress",
    "VisitCity": "VisitCity",
    "VisitCountryCode": "VisitCountryCode",
    "VisitZipCode": "VisitZipCode",
    "ZipCode": "ZipCode",
}


@dataclass(frozen=True)
class Reply:
    """An answer before it becomes HTTP."""

    body: str | bytes
    status: int = 200
    location: str = ""
    content_type: str = "application/json"


def handle(call: Call, request: Request, parts: list[str], scopes: Sequence[str]) -> Reply:
    """Answer one authorised API request."""
    if not parts:
        raise errors.own(90, "Ogiltig adress.")
    fixed = _settings(call, "/".join(parts))
    if fixed is not None:
        scope, wrapper, value = fixed
        _require(call, scope, scopes)
        if request.method != "GET":
            raise _method_not_allowed()
        return Reply(dumps({wrapper: value}))
    resource = RESOURCES.get(parts[0])
    if resource is None:
        raise errors.FortnoxError(2999091, "Ogiltig adress.", 404)
    _require(call, resource.scope, scopes)
    _check_types(request)
    if resource is PRICES:
        return _prices(call, request, parts[1:])
    if resource is VOUCHERS:
        return _vouchers(call, request, parts[1:])
    return _collection(call, request, resource, parts[1:])


def _require(call: Call, scope: str, scopes: Sequence[str]) -> None:
    if scope not in scopes:
        raise errors.missing_scope()
    if scope in call.world.options["missing_licences"]:
        raise errors.missing_licence()


def _check_types(request: Request) -> None:
    """Documented codes; reported: asking for application/pdf is refused, the PDF comes regardless of Accept."""
    accept = request.headers.get("Accept", "*/*")
    if "json" not in accept and "*/*" not in accept:
        raise errors.FortnoxError(1000030, "Invalid response type")
    content = request.headers.get("Content-Type", "")
    if request.method in ("POST", "PUT") and content and "json" not in content and request.get_data():
        raise errors.FortnoxError(1000031, "Invalid content type")


def _method_not_allowed() -> errors.FortnoxError:
    return errors.own(92, "Metoden stöds inte.")


def payload(request: Request, wrapper: str) -> Any:
    """The object inside the wrapper. Recorded: 2001392 when it is missing; documented: 2002115 for bad JSON."""
    raw = request.get_data()
    if not raw.strip():
        raise errors.no_data()
    try:
        value = json.loads(raw)
    except ValueError:
        raise errors.FortnoxError(2002115, "Error deserializing JSON: JSON_ERROR_SYNTAX") from None
    if not isinstance(value, dict) or not isinstance(value.get(wrapper), dict):
        raise errors.no_data()
    return value[wrapper]


def _one(call: Call, resource: Resource, record: Record, status: int = 200) -> Reply:
    body = dumps({resource.single: resource.detail(call.tenant, record)})
    return Reply(body, status, resource.name if status == 201 else "")


def _list(call: Call, resource: Resource, records: list[Record] | None = None) -> Reply:
    return Reply(search.page(resource, call, search.select(resource, call, records)))


def _collection(call: Call, request: Request, resource: Resource, parts: list[str]) -> Reply:
    method = request.method
    if not parts:
        if method == "GET":
            return _list(call, resource)
        if method == "POST" and resource.may_create:
            record = resource.create(call, payload(request, resource.single))
            witness(call, resource, record, "create")
            return _one(call, resource, record, 201)
        raise errors.no_identifier() if method in ("PUT", "DELETE") else _method_not_allowed()
    record = resource.find(call.tenant, parts[0])
    if len(parts) == 2:
        return _action(call, request, resource, record, parts[1])
    if len(parts) > 2:
        raise errors.FortnoxError(2999091, "Ogiltig adress.", 404)
    if method == "GET":
        return _one(call, resource, record)
    if method == "PUT" and resource.may_update:
        resource.update(call, record, payload(request, resource.single))
        witness(call, resource, record, "update")
        return _one(call, resource, record)
    if method == "DELETE" and resource.may_delete:
        resource.delete(call, record)
        witness(call, resource, record, "delete")
        return Reply("", 204)
    raise _method_not_allowed()


_TOLD = ("CustomerNumber", "Currency", "Net", "TotalVAT", "Total", "OrganisationNumber", "Name")


def witness(call: Call, resource: Resource, record: Record, action: str) -> None:
    """A line in the truth journal, with the marker and the figures that checks compare."""
    values = {name: str(record.values[name]) for name in _TOLD if name in record.values}
    marker = str(record.values.get("ExternalInvoiceReference1") or record.values.get("ExternalReference") or "")
    call.world.truth.add(
        "fortnox", call.tenant.number, resource.name, action, record.key,
        request=call.seq, marker=marker, values=values,
    )  # fmt: skip


def _action(call: Call, request: Request, resource: Resource, record: Record, action: str) -> Reply:
    """Documented: bookkeep, cancel, credit and externalprint are PUT; e-mail and printing are GET."""
    method = request.method
    if resource is PAYMENTS and (method, action) == ("PUT", "bookkeep"):
        PAYMENTS.bookkeep(call, record)
        witness(call, resource, record, action)
        return _one(call, resource, record)
    if resource is INVOICES and method == "PUT" and action in actions.PUT_ACTIONS:
        done = actions.PUT_ACTIONS[action](INVOICES, call, record)
        witness(call, resource, record, action)
        return _one(call, resource, done)
    if resource is INVOICES and method == "GET" and action in actions.GET_ACTIONS:
        done = actions.GET_ACTIONS[action](INVOICES, call, record)
        witness(call, resource, record, action)
        return _one(call, resource, done)
    if resource is INVOICES and method == "GET" and action in actions.PDF_ACTIONS:
        return Reply(actions.printed(call, record, action), content_type="application/pdf")
    raise errors.wrong_action(method) if resource is INVOICES else _method_not_allowed()


def _prices(call: Call, request: Request, parts: list[str]) -> Reply:
    method = request.method
    if not parts:
        return _collection(call, request, PRICES, parts)
    if parts[0] == "sublist" and len(parts) == 3 and method == "GET":
        prefix = f"{parts[1]}/{parts[2]}/"
        return _list(call, PRICES, [record for record in call.tenant.tables["prices"] if record.key.startswith(prefix)])
    if len(parts) not in (2, 3):
        raise errors.no_identifier()
    key = price_key(parts[0], parts[1], as_decimal(parts[2] if len(parts) == 3 else "0"))
    if method == "PUT":
        return _one(call, PRICES, PRICES.replace(call, key, payload(request, PRICES.single)))
    record = PRICES.find(call.tenant, key)
    if method == "GET":
        return _one(call, PRICES, record)
    if method == "DELETE" and len(parts) == 3:
        PRICES.delete(call, record)
        return Reply("", 204)
    raise _method_not_allowed()


def _vouchers(call: Call, request: Request, parts: list[str]) -> Reply:
    if request.method != "GET":
        raise _method_not_allowed()
    table = call.tenant.tables["vouchers"]
    if not parts or parts == ["sublist"]:
        return _list(call, VOUCHERS)
    if parts[0] == "sublist":
        return _list(call, VOUCHERS, [item for item in table if item.values["VoucherSeries"] == parts[1]])
    if len(parts) != 2:
        raise errors.no_identifier()
    year = call.args.get("financialyear") or call.tenant.current_year
    return _one(call, VOUCHERS, VOUCHERS.find(call.tenant, f"{year}/{parts[0]}/{parts[1]}"))


def _settings(call: Call, path: str) -> tuple[str, str, Any] | None:
    """The single objects: (scope, wrapper, value)."""
    tenant = call.tenant
    if path == "companyinformation":
        shown: dict[str, Any] = {name: tenant.company[source] for name, source in _COMPANY_FIELDS.items()}
        return "companyinformation", "CompanyInformation", shown | {"DatabaseNumber": int(tenant.number)}
    if path == "settings/company":
        return "settings", "CompanySettings", tenant.company
    if path == "settings/lockedperiod":
        return "settings", "LockedPeriod", {"EndDate": tenant.locked_until}
    if path == "me":
        return (
            "profile",
            "MeInformation",
            {
                "Id": "1",
                "Name": "Sandlådan",
                "Email": "person@sandlada.example",
                "SysAdmin": True,
                "Locale": "sv_SE",
            },
        )
    return None
