"""Login and consent: the pages on which a person lets the app into an org. No password: choose who, allow or deny."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode, urlsplit

from werkzeug import Request, Response

from .oauth import OAuth
from .pages import page
from .table import Row
from .tenant import TEST, Address, Tenant

NOT_FOUND = "OAUTH_EC_APP_NOT_FOUND"


class Refusal(Exception):
    """The page cannot be shown, and there is nowhere safe to send the browser."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


class SentBack(Exception):
    """The app asked for something wrong; its callback hears of it."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


def respond(oauth: OAuth, tenants: Mapping[str, Tenant], address: Address, request: Request) -> Response:
    """``GET`` shows the page, ``POST`` (one of its buttons) redirects back to the app."""
    orgs = _orgs(tenants, address)
    query = request.args
    try:
        owner = _check_client(tenants, request)
        try:
            scopes = _check(owner, request)
            if request.method == "POST":
                return _back(query, {"code": _decide(oauth, owner, orgs, request, scopes)})
        except SentBack as refusal:
            return _back(query, {"error": refusal.error, "error_description": str(refusal)})
    except Refusal as refusal:
        text = f"error={escape(refusal.error)}&amp;error_description={escape(str(refusal))}"
        return page("Log in", f"<h1>OAuth Error</h1><p><code>{text}</code></p>", 400)
    return page("Log in", _form(owner, orgs, scopes, query.get("login_hint", "")))


def _orgs(tenants: Mapping[str, Tenant], address: Address) -> list[Tenant]:
    if address.tenant is not None:
        return [address.tenant]
    return [t for t in tenants.values() if t.org.profile.is_sandbox == (address.kind == TEST)]


def _check_client(tenants: Mapping[str, Tenant], request: Request) -> Tenant:
    query = request.args
    owner = next((t for t in tenants.values() if t.app.client_id == query.get("client_id")), None)
    if owner is None:
        raise Refusal("invalid_client_id", "client identifier invalid")
    if not owner.app.redirect_allowed(query.get("redirect_uri", "")):
        raise Refusal("redirect_uri_mismatch", "redirect_uri must match configuration")
    return owner


def _check(owner: Tenant, request: Request) -> tuple[str, ...]:
    """Response type, PKCE and scopes; the scopes asked for."""
    query = request.args
    if query.get("response_type") != "code":
        raise SentBack("unsupported_response_type", "response type not supported")
    if query.get("code_challenge") and query.get("code_challenge_method", "S256") != "S256":
        raise SentBack("invalid_request", "invalid code challenge method")
    if owner.app.policies.pkce_required and not query.get("code_challenge"):
        raise SentBack("invalid_request", "missing required code challenge")
    scopes = tuple(dict.fromkeys(query.get("scope", "").split())) or owner.app.scopes
    unknown = [scope for scope in scopes if scope not in owner.app.scopes and scope != "offline_access"]
    if unknown:
        raise SentBack("invalid_scope", f"the requested scope is not allowed: {unknown[0]}")
    return scopes


def _decide(oauth: OAuth, owner: Tenant, orgs: Sequence[Tenant], request: Request, scopes: tuple[str, ...]) -> str:
    """The code; SentBack when the person denied, or is in an org that does not know the app."""
    form = request.form
    if form.get("decision") != "allow":
        raise SentBack("access_denied", "end-user denied authorization")
    tenant, user = _who(owner, orgs, form.get("user", ""), form.get("org", ""))
    if not user.values.get("IsActive"):
        raise Refusal("inactive_user", "user is inactive")
    if tenant is not owner or not tenant.app.policies.app_installed:
        raise SentBack(NOT_FOUND, "External client app is not installed in this org")
    redirect_uri = request.args["redirect_uri"]
    return oauth.issue_code(tenant, user.id, redirect_uri, scopes, request.args.get("code_challenge", ""))


def _who(owner: Tenant, orgs: Sequence[Tenant], user_id: str, org_id: str) -> tuple[Tenant, Row]:
    """The person who logged in: the user chosen, or the integration user of the org chosen."""
    for tenant in orgs:
        if user_id in tenant.org.rows["User"]:
            return tenant, tenant.user(user_id)
    for tenant in orgs:
        if tenant.org.id[:15] == org_id[:15] or (not org_id and tenant is owner):
            return tenant, tenant.user(tenant.integration)
    raise Refusal("invalid_grant", "authentication failure")


def _back(query: Mapping[str, str], answer: dict[str, str]) -> Response:
    if "state" in query:
        answer["state"] = query["state"]
    target = query["redirect_uri"]
    joiner = "&" if urlsplit(target).query else "?"
    return Response(status=302, headers={"Location": f"{target}{joiner}{urlencode(answer)}"})


def _form(owner: Tenant, orgs: Sequence[Tenant], scopes: Sequence[str], hint: str) -> str:
    chosen = next((u.id for t in orgs for u in t.users() if u.values.get("Username") == hint), owner.integration)
    choices = "".join(
        f"<fieldset><legend>{escape(tenant.org.profile.name)} <small>({tenant.org.id})</small></legend>"
        + "".join(_choice(user, user.id == chosen) for user in tenant.users() if user.values.get("IsActive"))
        + "</fieldset>"
        for tenant in orgs
    )
    listed = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    return (
        f"<h1>Log in and allow access?</h1><p><strong>{escape(owner.app.name)}</strong> is asking to:</p>"
        f'<ul>{listed}</ul><form method="post">{choices}'
        '<p><button class="no" name="decision" value="deny" formnovalidate>Deny</button> '
        '<button class="yes" name="decision" value="allow">Allow</button></p></form>'
    )


def _choice(user: Row, checked: bool) -> str:
    return (
        f'<label><input type="radio" name="user" value="{user.id}" required{" checked" if checked else ""}> '
        f"{escape(str(user.values.get('Name')))} <small>({escape(str(user.values.get('Username')))})</small></label>"
    )
