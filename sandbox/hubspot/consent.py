"""The page on which a person lets the app into a portal. No password: choose the account, connect or deny."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode, urlsplit

from werkzeug import Request, Response

from .oauth import OAuth
from .portal import Portal

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#213343}"
    ".banner{background:#fff4d6;border:1px solid #e0b84a;padding:.5rem 1rem;border-radius:4px}"
    "fieldset{border:1px solid #cbd6e2;border-radius:4px;margin:1rem 0}label{display:block;padding:.25rem 0}"
    "button{font:inherit;padding:.5rem 1.25rem;border-radius:4px;border:1px solid #ff5c35;cursor:pointer}"
    ".yes{background:#ff5c35;color:#fff}.no{background:#fff;color:#213343;border-color:#cbd6e2}"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What the app registered."""

    redirect_uris: Sequence[str]
    required: Sequence[str]
    optional: Sequence[str]

    def redirect_allowed(self, uri: str) -> bool:
        """A registered address exactly, or plain HTTP on this computer."""
        parts = urlsplit(uri)
        local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
        return uri in self.redirect_uris or (local and not parts.fragment)


class Refusal(Exception):
    """The install page cannot be shown; the text says why."""


def respond(
    oauth: OAuth, portals: Mapping[int, Portal], rules: Rules, request: Request, portal_id: str | None
) -> Response:
    """``GET`` shows the page, ``POST`` (one of its buttons) redirects back to the app."""
    try:
        scopes = _check(oauth, rules, request)
    except Refusal as refusal:
        return _page("Authorization failed", f"<p>{escape(str(refusal))}</p>", 400)
    if request.method == "POST":
        return _decide(oauth, portals, request, scopes)
    return _page(f"Connect {oauth.app.name}", _form(oauth, portals, scopes, portal_id))


def _check(oauth: OAuth, rules: Rules, request: Request) -> tuple[str, ...]:
    """Client, address, scopes and PKCE method; the granted scopes."""
    query = request.args
    if query.get("client_id") != oauth.app.client_id:
        raise Refusal("Couldn't find an app with this client ID.")
    if not rules.redirect_allowed(query.get("redirect_uri", "")):
        raise Refusal(
            "Authorization failed because the redirect URL doesn't match one of the URLs registered for the app."
        )
    asked = query.get("scope", "").split()
    optional = query.get("optional_scope", "").split()
    if set(asked) != set(rules.required) or not set(optional) <= set(rules.optional):
        raise Refusal(
            "Authorization failed because there is a scope mismatch between the installation URL and your app's "
            "configured scopes."
        )
    if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
        raise Refusal("Authorization failed because the code challenge method is not supported; use S256.")
    return tuple(dict.fromkeys([*asked, *optional]))


def _decide(oauth: OAuth, portals: Mapping[int, Portal], request: Request, scopes: tuple[str, ...]) -> Response:
    query, form = request.args, request.form
    target = query["redirect_uri"]
    answer: dict[str, str] = {}
    chosen = form.get("portal", "")
    portal = portals.get(int(chosen)) if chosen.isdecimal() else None
    if form.get("decision") != "connect" or portal is None:
        answer = {"error": "access_denied", "error_description": "The user denied access to the account"}
    else:
        owner = next((o for o in portal.profile.owners if o.id == form.get("owner")), portal.profile.owners[0])
        answer["code"] = oauth.issue_code(portal, owner, target, scopes, query.get("code_challenge") or None)
    if "state" in query:
        answer["state"] = query["state"]
    joiner = "&" if urlsplit(target).query else "?"
    return Response(status=302, headers={"Location": f"{target}{joiner}{urlencode(answer)}"})


def _form(oauth: OAuth, portals: Mapping[int, Portal], scopes: Sequence[str], portal_id: str | None) -> str:
    chosen = portal_id if portal_id and portal_id.isdecimal() and int(portal_id) in portals else None
    choices = "".join(
        f'<label><input type="radio" name="portal" value="{portal.id}" required'
        f"{' checked' if str(portal.id) == chosen or (chosen is None and first == 0) else ''}> "
        f"{escape(portal.profile.name)} <small>({portal.id})</small></label>"
        for first, portal in enumerate(portals.values())
    )
    listed = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    return (
        f"<p><strong>{escape(oauth.app.name)}</strong> asks for access to a HubSpot account.</p>"
        f'<form method="post"><fieldset><legend>Choose an account</legend>{choices}</fieldset>'
        f"<details><summary>What the app may do</summary><ul>{listed}</ul></details>"
        '<p><button class="yes" name="decision" value="connect">Connect app</button> '
        '<button class="no" name="decision" value="deny" formnovalidate>Cancel</button></p></form>'
    )


def _page(title: str, content: str, status: int = 200) -> Response:
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        '<p class="banner">Demonstration: an emulated HubSpot with invented accounts.</p>'
        f"<h1>{escape(title)}</h1>{content}</body></html>"
    )
    return Response(page, status=status, content_type="text/html; charset=utf-8")
