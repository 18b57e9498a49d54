"""Who a token belongs to: the identity URL, the OpenID endpoints, and the list of versions."""

from __future__ import annotations

from typing import Any

from . import times
from .call import Answer
from .oauth import Session
from .tenant import Address, Tenant, identity, my_domain

SEASONS = ("Spring", "Summer", "Winter")
OLDEST, NEWEST, RETIRED = 60, 68, 30
SOAP = {"enterprise": "c", "metadata": "m", "partner": "u", "tooling_soap": "T"}


def versions() -> list[dict[str, str]]:
    """``GET /services/data/``: the versions a client may ask for, oldest first."""
    return [
        {"label": _label(number), "url": f"/services/data/v{number}.0", "version": f"{number}.0"}
        for number in range(OLDEST, NEWEST + 1)
    ]


def _label(number: int) -> str:
    """Version 66 came with Spring '26; three releases a year, Winter's named after the next year."""
    season = (number - 66) % 3
    year = 26 + (number - 66) // 3 + (season == 2)
    return f"{SEASONS[season]} '{year}"


def resources(version: str) -> dict[str, str]:
    """``GET /services/data/vXX.0/``: what there is in a version."""
    names = ("sobjects", "query", "queryAll", "limits", "composite", "jobs", "tooling", "metadata")
    return {name: f"/services/data/v{version}/{name}" for name in names}


def describe_person(tenant: Tenant, user_id: str, address: Address) -> dict[str, Any]:
    """The identity URL's answer."""
    values = tenant.user(user_id).values
    host, org = my_domain(address.root, tenant), tenant.org
    rest = f"{host}/services/data/v{{version}}/"
    urls = {name: f"{host}/services/Soap/{letter}/{{version}}/{org.id[:15]}" for name, letter in SOAP.items()}
    urls |= {"rest": rest, **{name: f"{rest}{name}/" for name in ("sobjects", "search", "query", "recent")}}
    urls |= {
        "tooling_rest": f"{rest}tooling/",
        "profile": f"{host}/{user_id}",
        "custom_domain": host,
    }
    return {
        "id": identity(address.root, tenant, user_id),
        "asserted_user": True,
        "user_id": user_id,
        "organization_id": org.id,
        "username": values["Username"],
        "nick_name": str(values["Username"]).partition("@")[0],
        "display_name": values.get("Name"),
        "email": values.get("Email"),
        "email_verified": True,
        "first_name": values.get("FirstName"),
        "last_name": values.get("LastName"),
        "timezone": values.get("TimeZoneSidKey"),
        "photos": {
            "picture": f"{host}/profilephoto/005/F",
            "thumbnail": f"{host}/profilephoto/005/T",
        },
        "addr_street": None,
        "addr_city": None,
        "addr_state": None,
        "addr_country": org.profile.country,
        "addr_zip": None,
        "mobile_phone": None,
        "mobile_phone_verified": False,
        "is_lightning_login_user": False,
        "status": {"created_date": None, "body": None},
        "urls": urls,
        "active": bool(values.get("IsActive")),
        "user_type": "STANDARD",
        "language": values.get("LanguageLocaleKey"),
        "locale": values.get("LocaleSidKey"),
        "utcOffset": 3_600_000,
        "last_modified_date": times.wire(tenant.user(user_id).modified).replace(".000+0000", "Z"),
    }


def userinfo(session: Session, address: Address) -> dict[str, Any]:
    """``/services/oauth2/userinfo``: the claims of OpenID Connect and Salesforce's own."""
    who = describe_person(session.tenant, session.user_id, address)
    return {
        "sub": who["id"],
        "user_id": who["user_id"],
        "organization_id": who["organization_id"],
        "preferred_username": who["username"],
        "nickname": who["nick_name"],
        "name": who["display_name"],
        "email": who["email"],
        "email_verified": True,
        "given_name": who["first_name"],
        "family_name": who["last_name"],
        "zoneinfo": who["timezone"],
        "photos": who["photos"],
        "profile": who["urls"]["profile"],
        "picture": who["photos"]["picture"],
        "address": {"country": who["addr_country"]},
        "urls": who["urls"],
        "active": who["active"],
        "user_type": who["user_type"],
        "language": who["language"],
        "locale": who["locale"],
        "utcOffset": who["utcOffset"],
        "updated_at": who["last_modified_date"],
    }


def configuration(address: Address) -> dict[str, Any]:
    """``/.well-known/openid-configuration`` of a host."""
    oauth = f"{address.base}/services/oauth2"
    return {
        "issuer": address.base,
        "authorization_endpoint": f"{oauth}/authorize",
        "token_endpoint": f"{oauth}/token",
        "revocation_endpoint": f"{oauth}/revoke",
        "userinfo_endpoint": f"{oauth}/userinfo",
        "jwks_uri": f"{address.base}/id/keys",
        "introspection_endpoint": f"{oauth}/introspect",
        "scopes_supported": ["api", "refresh_token", "openid", "id", "profile", "email", "web", "full"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "private_key_jwt"],
        "code_challenge_methods_supported": ["S256"],
    }


def bad_token() -> Answer:
    """What the identity endpoints answer without a living session: text, no error list."""
    return Answer(403, "Bad_OAuth_Token", {"Content-Type": "text/html;charset=UTF-8"})
