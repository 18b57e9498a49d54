"""Is this HubSpot portal ready? Asked of HubSpot now, one line per condition, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.translation import gettext_noop

from integrations.connector import ReadinessLine
from integrations.errors import AuthenticationFailed, PermissionMissing, RateLimited, SyncError
from integrations.hubspot.client import HubSpot
from integrations.words import every as _

# The key that makes our writes repeatable, per object we write.
KEYS = {"company": "fortnox_key", "product": "fortnox_key", "deal": "fortnox_key", "line_item": "fortnox_key"}
WORDS = {
    "company": gettext_noop("company"), "product": gettext_noop("product"), "deal": gettext_noop("deal"),
    "line_item": gettext_noop("line item"),
}  # fmt: skip
"""What people call these objects."""
PIPELINE = "Fortnox Invoices"


def check(client: HubSpot) -> list[ReadinessLine]:
    """The readiness lines. A dead connection ends the questions; anything else is one line."""
    lines: list[ReadinessLine] = []
    questions: list[Callable[[], list[ReadinessLine]]] = [
        lambda: _account(client),
        *(lambda name=name: [_key(client, name)] for name in KEYS),
        lambda: [_pipeline(client)],
    ]
    for question in questions:
        try:
            lines += question()
        except AuthenticationFailed as error:
            lines.append(
                ReadinessLine("token", "error", _("The connection works"), error.message, _("Reconnect HubSpot."))
            )
            break
        except RateLimited:
            lines.append(
                ReadinessLine(
                    "busy",
                    "warning",
                    _("Not everything was asked"),
                    _("The rate limit is used up."),
                    _("Check again in a minute."),
                )
            )
            break
        except PermissionMissing as error:
            detail = ", ".join(error.context.get("scopes", [])) or error.message
            lines.append(ReadinessLine("scope", "error", _("Permissions"), detail, _("Reconnect HubSpot.")))
        except SyncError as error:
            lines.append(
                ReadinessLine("answer", "warning", _("HubSpot's answer"), error.message, _("Check again in a minute."))
            )
    return lines


def _account(client: HubSpot) -> list[ReadinessLine]:
    account = client.account()
    lines = [ReadinessLine("token", "ok", _("The connection works"), str(account["portalId"]))]
    missing = client.api.account.missing_scopes
    if missing:
        lines.append(ReadinessLine("scopes", "error", _("Permissions"), ", ".join(missing), _("Reconnect HubSpot.")))
    else:
        lines.append(ReadinessLine("scopes", "ok", _("Permissions")))
    codes = [str(account.get("companyCurrency") or ""), *map(str, account.get("additionalCurrencies") or [])]
    text = ", ".join(code for code in codes if code)
    fix = "" if "SEK" in codes else _("HubSpot: Settings › Account defaults › Currency.")
    facts = tuple(code for code in codes if code)
    return [*lines, ReadinessLine("currencies", "warning" if fix else "ok", _("Currencies"), text, fix, facts=facts)]


def _key(client: HubSpot, name: str) -> ReadinessLine:
    title = _("Key property on %(object)s") % {"object": _(WORDS[name])}
    row = next((row for row in client.properties(name) if row.get("name") == KEYS[name]), None)
    if row is None:
        fix = _("Switch on the flow that writes it: its set-up creates the property.")
        return ReadinessLine(f"key_{name}", "warning", title, _("It does not exist yet."), fix)
    if not row.get("hasUniqueValue"):
        fix = _("Rename or archive the property in HubSpot; it is then created anew.")
        return ReadinessLine(f"key_{name}", "error", title, _("It exists, but its values are not unique."), fix)
    return ReadinessLine(f"key_{name}", "ok", title)


def _pipeline(client: HubSpot) -> ReadinessLine:
    title = _("Pipeline %(name)s") % {"name": PIPELINE}
    if any(row.get("label") == PIPELINE for row in client.pipelines("deal")):
        return ReadinessLine("pipeline", "ok", title)
    fix = _("Switch on the flow that imports invoices: its set-up creates the pipeline.")
    return ReadinessLine("pipeline", "warning", title, _("It does not exist yet."), fix)
