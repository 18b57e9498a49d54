"""The OAuth host's endpoints: consent page, token, revoke."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from werkzeug import Request, Response

from sandbox.core.delivery import ARRIVED_KEY

from .oauth import SCOPES, Grant, OAuthError, invalid_grant

if TYPE_CHECKING:
    from .emulator import FortnoxEmulator

_STYLE = """body{font:16px/1.5 system-ui,sans-serif;background:#f4f6f5;margin:0}
main{max-width:34rem;margin:4rem auto;background:#fff;padding:2rem;border-radius:.5rem}
.note{background:#fff3cd;padding:.5rem 1rem;border-radius:.25rem}
label{display:block;padding:.4rem 0}button{font:inherit;padding:.6rem 1.4rem;margin:1rem .5rem 0 0;cursor:pointer}
.approve{background:#11613c;color:#fff;border:0;border-radius:.25rem}"""


def respond(emulator: FortnoxEmulator, request: Request, name: str) -> Response:
    """Answer one OAuth request."""
    if name == "auth" and request.method in ("GET", "POST"):
        return _consent(emulator, request)
    if name == "token" and request.method == "POST":
        return _guarded(emulator, request, _token)
    if name == "revoke" and request.method == "POST":
        return _guarded(emulator, request, _revoke)
    return Response("Not Found", status=404, content_type="text/plain")


def _page(title: str, content: str, status: int = 200) -> Response:
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f'<p class="note">Demonstration sandbox: not Fortnox, invented companies.</p>{content}</main></body></html>'
    )
    return Response(page, status=status, content_type="text/html; charset=utf-8")


def _consent(emulator: FortnoxEmulator, request: Request) -> Response:
    """Documented parameters; a wrong client or address cannot be redirected and shows a page instead."""
    values = request.values
    client_id, redirect_uri = values.get("client_id", ""), values.get("redirect_uri", "")
    allowed = emulator.world.options["redirect_uris"]
    if client_id not in emulator.authority.clients:
        return _page("Cannot connect", "<p>Auth code or ClientID supplied is invalid</p>", 400)
    if not redirect_uri and allowed:
        redirect_uri = allowed[0]  # documented: defaults to the registered one
    if not redirect_uri.startswith(("http://", "https://")) or (allowed and redirect_uri not in allowed):
        return _page("Cannot connect", "<p>The redirect_uri is not registered for this integration.</p>", 400)
    problem = _problem(values.get("response_type"), values.get("scope", ""), values.get("access_type", "offline"))
    if problem is not None:
        return _back(redirect_uri, values.get("state"), error=problem[0], error_description=problem[1])
    if request.method == "GET":
        return _form(emulator, request)
    if values.get("decision") != "approve":
        return _back(
            redirect_uri,
            values.get("state"),
            error="access_denied",
            error_description="The resource owner denied the request",
        )
    tenant = values.get("company", "")
    if tenant not in emulator.tenants:
        return _page("Cannot connect", "<p>Choose a company.</p>", 400)
    given = values.get("redirect_uri") or None
    grant = Grant(client_id, tenant, " ".join(values["scope"].split()), 0, redirect_uri=given)
    service = values.get("account_type") == "service"
    code = emulator.authority.issue_code(grant, emulator.world.clock.time(), service=service)
    return _back(redirect_uri, values.get("state"), code=code)


def _problem(response_type: str | None, scope: str, access_type: str) -> tuple[str, str] | None:
    if response_type != "code":
        return "unsupported_response_type", "response_type must be code"
    unknown = [name for name in scope.split() if name not in SCOPES]
    if unknown or not scope.split():
        return "invalid_scope", f"The requested scope is invalid: {' '.join(unknown)}"
    return None if access_type == "offline" else ("invalid_request", "access_type must be offline")


def _back(redirect_uri: str, state: str | None, **answer: str) -> Response:
    """Redirect with the state exactly as it came."""
    if state is not None:
        answer["state"] = state
    parts = urlsplit(redirect_uri)
    query = "&".join(filter(None, (parts.query, urlencode(answer))))
    return Response(status=302, headers={"Location": urlunsplit(parts._replace(query=query))})


def _form(emulator: FortnoxEmulator, request: Request) -> Response:
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in request.args.items()
    )
    companies = "".join(
        f'<label><input type="radio" name="company" value="{number}"{" checked" if index == 0 else ""}> '
        f"{escape(str(tenant.company['Name']))} <small>({number})</small></label>"
        for index, (number, tenant) in enumerate(emulator.tenants.items())
    )
    scopes = ", ".join(escape(name) for name in request.args.get("scope", "").split())
    action = escape(request.path)
    return _page(
        "Connect to Fortnox",
        f"<p>The integration <strong>{escape(request.args['client_id'])}</strong> asks for access to: {scopes}.</p>"
        f'<form method="post" action="{action}">{hidden}<fieldset><legend>Company</legend>{companies}</fieldset>'
        '<button class="approve" name="decision" value="approve">Approve</button>'
        '<button name="decision" value="deny">Deny</button></form>',
    )


def _guarded(emulator: FortnoxEmulator, request: Request, answer: _Answer) -> Response:
    try:
        client_id = emulator.authority.authenticate(request.headers.get("Authorization", ""))
        return emulator.oauth_json(answer(emulator, request, client_id))
    except OAuthError as error:
        body = {"error": error.error, "error_description": error.description}
        return emulator.oauth_json(body, error.status, error.content_type)


def _token(emulator: FortnoxEmulator, request: Request, client_id: str) -> dict[str, object]:
    authority, now, form = emulator.authority, emulator.world.clock.time(), request.form
    kind = form.get("grant_type")
    _note_account(emulator, request)
    if kind == "authorization_code":
        return authority.redeem_code(client_id, form.get("code", ""), form.get("redirect_uri"), now)
    if kind == "refresh_token":
        last = emulator.world.options["refresh_race"] == "last_pair_wins"
        arrived = float(request.environ.get(ARRIVED_KEY, now))
        token = form.get("refresh_token", "")
        used = token in authority.refresh and authority.refresh[token].used_at is not None
        tenant = str(request.environ.get("sandbox.fortnox.account") or "")
        emulator.world.truth.token("fortnox", tenant, token, accepted=not used)
        return authority.redeem_refresh(client_id, token, now, arrived, last_pair_wins=last)
    if kind == "client_credentials":
        return authority.service_token(client_id, request.headers.get("TenantId", ""), now)
    raise OAuthError("unsupported_grant_type", "The grant type is not supported", 400, "application/json")


def _note_account(emulator: FortnoxEmulator, request: Request) -> None:
    """For the request journal: whose grant is being exchanged."""
    form, authority = request.form, emulator.authority
    grant = authority.codes.get(form.get("code", "")) or authority.refresh.get(form.get("refresh_token", ""))
    tenant = grant.tenant if grant else request.headers.get("TenantId")
    request.environ["sandbox.fortnox.account"] = tenant


def _revoke(emulator: FortnoxEmulator, request: Request, client_id: str) -> dict[str, object]:
    """Reported: an unknown token is answered like a known one."""
    if not request.form.get("token"):
        raise invalid_grant("Missing token")
    emulator.authority.revoke(request.form["token"])
    return {"revoked": True}


if TYPE_CHECKING:
    from collections.abc import Callable

    _Answer = Callable[[FortnoxEmulator, Request, str], dict[str, object]]
