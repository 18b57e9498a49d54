"""The settings page inside the CRM: the account's connections and the five toggles of each integration (R76–R84).

The invariants: a toggle works on the server, through the same function as the admin's (RB32); flipping it twice does
what flipping it once does, and the same signed request counts once (SEC-09); who flipped it is in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations import inbox
from integrations.audit import acting
from integrations.cards import CardCaller
from integrations.models import ConnectedAccount, Integration
from sync import flows, queue
from sync.cards import people
from sync.cards.access import NotFound
from sync.cards.tickets import LIGHT
from sync.models import Flow, SyncLogEntry

_HEAVY = [f"{side}_account__{name}" for side in ("crm", "ledger") for name in LIGHT]


def settings(caller: CardCaller) -> dict[str, Any]:
    """Accounts, integrations and toggles of the caller's account, and whether the caller may change them."""
    integrations = list(_integrations(caller))
    accounts = {caller.account.pk: caller.account}
    accounts |= {pair.ledger_account_id: pair.ledger_account for pair in integrations}
    return {
        "ok": True,
        "accounts": [_account(account) for account in accounts.values()],
        "integrations": [_integration(pair) for pair in integrations],
        "mayEdit": people.editor(caller) is not None,
    }


def _integrations(caller: CardCaller) -> Any:
    pairs = Integration.objects.filter(crm_account=caller.account).select_related("crm_account", "ledger_account")
    return pairs.defer(*_HEAVY).order_by("name", "pk")


def _account(account: ConnectedAccount) -> dict[str, Any]:
    address = reverse("admin:integrations_connectedaccount_change", args=[account.pk])
    return {
        "system": account.system,
        "label": account.get_system_display(),
        "account": account.name or account.remote_id,
        "status": account.status,
        "statusLabel": account.get_status_display(),
        "reconnectUrl": f"{django_settings.PUBLIC_URL}{address}",
    }


def _integration(pair: Integration) -> dict[str, Any]:
    rows = [_toggle(flow, options) for flow, options in flows.toggles(pair)]
    return {"id": str(pair.pk), "name": pair.name, "toggles": rows}


def _toggle(flow: Flow, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": flow.slug,
        "label": _(options.get("toggle_label") or flow.name),
        "help": _(options["toggle_help"]) if options.get("toggle_help") else "",
        "on": flow.enabled,
        "every": _every(flow),
    }


def _every(flow: Flow) -> str:
    if not flow.scheduled:
        return _("when somebody asks for it")
    if flow.every_minutes % 60 == 0:
        hours = flow.every_minutes // 60
        return ngettext("every hour", "every %(n)d hours", hours) % {"n": hours}
    return ngettext("every minute", "every %(n)d minutes", flow.every_minutes) % {"n": flow.every_minutes}


def toggle(caller: CardCaller, body: Mapping[str, Any]) -> dict[str, Any]:
    """Switch one flow of one of the account's integrations; returns {ok, settings} or {ok: False, message}.

    Raises `NotFound` for an integration or toggle that is not the account's.
    """
    user, on = people.editor(caller), body.get("on")
    pair = next((pair for pair in _integrations(caller) if str(pair.pk) == str(body.get("integration", ""))), None)
    offered = {flow.slug: flow for flow, _options in flows.toggles(pair)} if pair else {}
    flow = offered.get(str(body.get("toggle", "")))
    if flow is None:
        raise NotFound
    if user is None:
        return {"ok": False, "error": "not_allowed", "message": _("Your e-mail address may not change the settings.")}
    if not isinstance(on, bool):
        return {"ok": False, "error": "malformed", "message": _("Say on or off.")}
    _switch(flow, on, caller, user)
    return {"ok": True, "settings": settings(caller)}


def _switch(flow: Flow, on: bool, caller: CardCaller, user: Any) -> None:
    with transaction.atomic():
        fresh = Flow.objects.select_for_update().get(pk=flow.pk)
        if caller.proof and not inbox.first_time("toggle", caller.proof):
            return  # it did what it says once; what somebody decided since then stays
        if fresh.enabled == on:
            return
        with acting(user, people.actor(caller)):
            (flows.switch_on if on else flows.switch_off)(fresh)
        event = "switched on" if on else "switched off"
        text = f"{fresh.name}, by {people.actor(caller)}"
        SyncLogEntry.objects.create(integration_id=fresh.integration_id, user=user, event=event, message=text)
        if on:
            queue.kick(queue.BULK)
