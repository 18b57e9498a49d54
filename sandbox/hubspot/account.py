"""Account details, owners, currencies and tax rates: what an integration reads before it maps anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from . import errors, times
from .batch import envelope
from .call import Answer, Call, unknown_path, wrong_method
from .errors import ApiError
from .portal import CURRENCY_NAMES, FOUNDED, ExchangeRate

ZONE = "Europe/Stockholm"


def route_account(call: Call) -> Answer:
    """``/account-info/{version}/…``."""
    call.need(["oauth"])
    profile = call.portal.profile
    if call.parts == ("api-usage", "daily", "private-apps") and call.method == "GET":
        return Answer(200, {"results": []})
    if call.parts != ("details",):
        raise unknown_path()
    if call.method != "GET":
        raise wrong_method()
    offset = datetime.fromtimestamp(call.moment / 1000, ZoneInfo(ZONE)).utcoffset()
    seconds = int(offset.total_seconds()) if offset else 0
    body = {
        "portalId": call.portal.id,
        "accountType": "STANDARD",
        "timeZone": ZONE,
        "companyCurrency": profile.currency,
        "additionalCurrencies": profile.additional,
        "utcOffset": f"+{seconds // 3600:02d}:{seconds % 3600 // 60:02d}",
        "utcOffsetMilliseconds": seconds * 1000,
        "uiDomain": profile.ui_domain,
        "dataHostingLocation": profile.hublet,
    }
    return Answer(200, body)


def route_owners(call: Call) -> Answer:
    """``/crm/owners/{version}[/{id}]``."""
    call.need(["crm.objects.owners.read"])
    if call.method != "GET":
        raise wrong_method()
    archived = call.flag("archived")
    found = [owner for owner in call.portal.profile.owners if owner.archived == archived]
    if not call.parts:
        return _owner_list(call, [o for o in found if call.query.get("email", o.email) == o.email])
    by_user = call.query.get("idProperty") == "userId"
    for owner in found:
        if call.parts[0] == (str(owner.user_id) if by_user else owner.id):
            return Answer(200, owner.to_json())
    raise ApiError(404, "resource not found")


def _owner_list(call: Call, found: list[Any]) -> Answer:
    limit = call.number_of("limit", 100, 100)
    start = _cursor(call)
    body: dict[str, Any] = {"results": [owner.to_json() for owner in found[start : start + limit]]}
    if start + limit < len(found):
        body["paging"] = {"next": {"after": str(start + limit)}}
    return Answer(200, body)


def _cursor(call: Call) -> int:
    text = call.query.get("after") or "0"
    if not text.isdecimal():
        raise errors.invalid(f"Invalid paging cursor: {text}")
    return int(text)


def route_taxes(call: Call) -> Answer:
    """``/tax-rates/{version}/tax-rates[/{id}]``."""
    call.need(["tax_rates.read"])
    if call.parts[:1] != ("tax-rates",):
        raise unknown_path()
    if call.method != "GET":
        raise wrong_method()
    found = call.portal.profile.tax_rates
    if len(call.parts) == 2:
        for rate in found:
            if rate.id == call.parts[1]:
                return Answer(200, rate.to_json())
        raise ApiError(404, "resource not found")
    if "active" in call.query:
        found = [rate for rate in found if rate.active == call.flag("active")]
    limit, start = call.number_of("limit", 100, 100), _cursor(call)
    body: dict[str, Any] = {"results": [rate.to_json() for rate in found[start : start + limit]]}
    if start + limit < len(found):
        body["paging"] = {"next": {"after": str(start + limit)}}
    return Answer(200, body)


def route_currencies(call: Call) -> Answer:
    """``/settings/currencies/{version}/…``."""
    call.need([f"settings.currencies.{'read' if _reads(call) else 'write'}"])
    match (call.method, *call.parts):
        case "GET", "codes":
            listed = [{"currencyCode": c, "currencyName": n} for c, n in CURRENCY_NAMES.items()]
            return Answer(200, {"results": listed})
        case "GET", "company-currency":
            return Answer(200, _company_currency(call))
        case "PUT", "company-currency":
            code = str(call.json().get("currencyCode") or call.json().get("id") or "")
            call.portal.change_currency(_known(code))
            return Answer(200, _company_currency(call))
        case "GET", "central-fx-rates", "information":
            return Answer(200, {"centralExchangeRatesEnabled": False})
        case "GET", "central-fx-rates", "unsupported-currencies":
            return Answer(200, {"results": []})
        case _, "exchange-rates", *rest:
            return _rates(call, tuple(rest))
    raise unknown_path()


def _reads(call: Call) -> bool:
    return call.method == "GET" or call.parts[1:] == ("batch", "read")


def _company_currency(call: Call) -> dict[str, str]:
    return {"id": call.portal.profile.currency, "createdAt": times.iso(FOUNDED)}


def _known(code: str) -> str:
    if code not in CURRENCY_NAMES:
        raise errors.bad_json(f'Cannot deserialize value of type `CurrencyCode` from String "{code}"')
    return code


def _rates(call: Call, rest: tuple[str, ...]) -> Answer:
    rates = call.portal.exchange_rates
    match (call.method, *rest):
        case ("GET",):
            wanted = call.query.get("fromCurrencyCode")
            return _owner_list(call, [rate for rate in rates if wanted in (None, rate.code)])
        case ("POST",):
            return Answer(200, _create_rate(call, call.json()).to_json())
        case "GET", "current":
            newest = {rate.code: rate for rate in rates if rate.effective <= call.moment}
            return Answer(200, {"results": [rate.to_json() for rate in newest.values()]})
        case "POST", "update-visibility":
            body = call.json()
            for rate in rates:
                if rate.code == body.get("fromCurrencyCode"):
                    rate.visible = bool(body.get("visibleInUI"))
            return Answer(204)
        case "POST", "batch", "create":
            return envelope(call, [_create_rate(call, entry).to_json() for entry in call.inputs(100)])
        case "POST", "batch", "read":
            return envelope(call, [_rate(call, str(e.get("id"))).to_json() for e in call.inputs(100)])
        case "POST", "batch", "update":
            changed = [_change(call, _rate(call, str(e.get("id"))), e) for e in call.inputs(100)]
            return envelope(call, [rate.to_json() for rate in changed])
        case "GET", rate_id:
            return Answer(200, _rate(call, rate_id).to_json())
        case "PATCH", rate_id:
            return Answer(200, _change(call, _rate(call, rate_id), call.json()).to_json())
    raise unknown_path()


def _create_rate(call: Call, body: Mapping[str, Any]) -> ExchangeRate:
    code = _known(str(body.get("fromCurrencyCode", "")))
    if code == call.portal.profile.currency:
        raise errors.invalid("The company currency needs no exchange rate")
    rate = call.portal.set_rate(code, _conversion(body), call.moment)
    if code not in call.portal.profile.additional:
        call.portal.add_currency(code)
    return rate


def _change(call: Call, rate: ExchangeRate, body: Mapping[str, Any]) -> ExchangeRate:
    rate.rate, rate.updated = _conversion(body), call.moment
    return rate


def _conversion(body: Mapping[str, Any]) -> float:
    """A rate is above zero and has six decimals at most."""
    value = body.get("conversionRate")
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0 or round(value, 6) != value:
        raise errors.invalid("conversionRate must be greater than zero, with at most six decimals")
    return float(value)


def _rate(call: Call, rate_id: str) -> ExchangeRate:
    for rate in call.portal.exchange_rates:
        if rate.id == rate_id:
            return rate
    raise ApiError(404, "resource not found")
