"""The signed request with which an org shows our card: who looks, at what, from where.

Canvas guide: ``signature.envelope``, both Base64; the signature is HMAC-SHA256 with the app's consumer secret over the
envelope as sent. There is no moment inside: ``issuedAt`` is null. The record is told where a Visualforce page belongs
to one; elsewhere the page passes parameters of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from . import render
from .metadata_store import deployed
from .table import Row
from .tenant import Tenant, my_domain

VERSION = "67.0"
FIELDS = re.compile(r'entityFields="([^"]*)"')
PARAMETERS = re.compile(r'parameters="{([^"]*)}"')
PARAMETER = re.compile(r"(\w+)\s*:\s*'([^']*)'")


@dataclass(frozen=True, slots=True)
class Viewing:
    """One person looking at one record."""

    tenant: Tenant
    user: Row
    record: Row
    root: str  # address of the emulator
    page: str  # address of the page the card is in
    token: str  # the person's own access token
    canvas_url: str
    language: str


def sign(secret: str, content: Mapping[str, Any]) -> str:
    """``signature.envelope``."""
    envelope = base64.b64encode(json.dumps(content, separators=(",", ":")).encode())
    digest = hmac.new(secret.encode(), envelope, hashlib.sha256).digest()
    return f"{base64.b64encode(digest).decode()}.{envelope.decode()}"


def signed_request(viewing: Viewing) -> str:
    """What the page posts into the card's frame."""
    return sign(viewing.tenant.app.client_secret, request_of(viewing))


def unapproved(viewing: Viewing) -> str:
    """The address for somebody who has not allowed the app yet: it is opened with GET."""
    query = {"_sfdc_canvas_auth": "user_approval_required", "loginUrl": my_domain(viewing.root, viewing.tenant)}
    joiner = "&" if "?" in viewing.canvas_url else "?"
    return f"{viewing.canvas_url}{joiner}{urlencode(query)}"


def request_of(viewing: Viewing) -> dict[str, Any]:
    """The content of the envelope."""
    tenant = viewing.tenant
    host = my_domain(viewing.root, tenant)
    return {
        "context": {
            "application": _application(viewing),
            "user": _user(viewing, host),
            "environment": _environment(viewing),
            "organization": {
                "organizationId": tenant.org.id,
                "name": tenant.org.profile.name,
                "multicurrencyEnabled": tenant.org.options.multi_currency,
                "namespacePrefix": None,
                "currencyIsoCode": tenant.org.options.default_currency,
            },
            "links": _links(tenant, viewing.user.id, host),
        },
        "client": {
            "instanceId": f"06P{tenant.org.profile.instance}000000002J:{tenant.app.developer_name}",
            "targetOrigin": viewing.root.removesuffix("/salesforce"),
            "instanceUrl": host,
            "oauthToken": viewing.token,
            "refreshToken": None,
        },
        "algorithm": "HMACSHA256",
        "userId": viewing.user.id,
        "issuedAt": None,
    }


def _application(viewing: Viewing) -> dict[str, Any]:
    app, instance = viewing.tenant.app, viewing.tenant.org.profile.instance
    return {
        "applicationId": f"06P{instance}000000003e",
        "authType": "SIGNED_REQUEST",
        "canvasUrl": viewing.canvas_url,
        "developerName": app.developer_name,
        "isInstalledPersonalApp": False,
        "name": app.developer_name.replace("_", " "),
        "namespace": "",
        "options": [],
        "referenceId": f"09H{instance}00000000AU",
        "samlInitiationMethod": "None",
        "version": "1.0",
    }


def _user(viewing: Viewing, host: str) -> dict[str, Any]:
    values = viewing.user.values
    return {
        "accessibilityModeEnabled": False,
        "currencyISOCode": values.get("DefaultCurrencyIsoCode") or viewing.tenant.org.options.default_currency,
        "email": values.get("Email"),
        "firstName": values.get("FirstName"),
        "fullName": values.get("Name"),
        "isDefaultNetwork": True,
        "language": viewing.language,
        "lastName": values.get("LastName"),
        "locale": values.get("LocaleSidKey"),
        "networkId": None,
        "profileId": str(values.get("ProfileId", ""))[:15],
        "profilePhotoUrl": f"{host}/profilephoto/005/F",
        "profileThumbnailUrl": f"{host}/profilephoto/005/T",
        "roleId": None,
        "siteUrl": None,
        "siteUrlPrefix": None,
        "timeZone": values.get("TimeZoneSidKey"),
        "userId": viewing.user.id,
        "userName": values.get("Username"),
        "userType": "STANDARD",
    }


def _environment(viewing: Viewing) -> dict[str, Any]:
    policies = viewing.tenant.app.policies
    in_page = policies.canvas_location in ("Visualforce", "PageLayout", "Publisher")
    parameters = _parameters(viewing) if in_page else {"recordId": viewing.record.id}
    return {
        "locationUrl": viewing.page,
        "displayLocation": policies.canvas_location,
        "subLocation": None,
        "uiTheme": "Theme4d",
        "dimensions": {
            "width": "100%",
            "height": "420px",
            "maxWidth": "1000px",
            "maxHeight": "2000px",
            "clientWidth": "380px",
            "clientHeight": "420px",
        },
        "parameters": {**parameters, **policies.canvas_parameters},
        "record": _record(viewing) if in_page else {},
        "version": {"season": "SUMMER", "api": VERSION},
    }


def _markup(viewing: Viewing) -> str:
    """The deployed page of the record's object; "" when there is none."""
    marker = f'standardController="{viewing.record.object}"'
    pages = (str(body.get("markup", "")) for body in deployed(viewing.tenant.org).of("ApexPage").values())
    return next((markup for markup in pages if marker in markup), "")


def _parameters(viewing: Viewing) -> dict[str, str]:
    """What the deployed page passes on, as it is rendered now: the moment is the one expression known here."""
    found = PARAMETERS.search(_markup(viewing))
    now = datetime.fromtimestamp(viewing.tenant.org.now_ms() / 1000, UTC)
    text = found[1].replace("{!TEXT(NOW())}", f"{now:%Y-%m-%d %H:%M:%S}Z") if found else ""
    return dict(PARAMETER.findall(text))


def _record(viewing: Viewing) -> dict[str, Any]:
    """The record with the fields that the deployed page names, or its name when no page was deployed."""
    org, row = viewing.tenant.org, viewing.record
    named = FIELDS.search(_markup(viewing))
    names = [name.strip() for name in named[1].split(",")] if named else ["Name"]
    shown = render.record(org, viewing.user.id, org.object(row.object), row, ["Id", *names], version=VERSION)
    return dict(shown)


def _links(tenant: Tenant, user_id: str, host: str) -> dict[str, str]:
    org_id, data = tenant.org.id[:15], f"/services/data/v{VERSION}"
    return {
        "loginUrl": host,
        "enterpriseUrl": f"/services/Soap/c/{VERSION}/{org_id}",
        "metadataUrl": f"/services/Soap/m/{VERSION}/{org_id}",
        "partnerUrl": f"/services/Soap/u/{VERSION}/{org_id}",
        "restUrl": f"{data}/",
        "sobjectUrl": f"{data}/sobjects/",
        "searchUrl": f"{data}/search/",
        "queryUrl": f"{data}/query/",
        "recentItemsUrl": f"{data}/recent/",
        "chatterFeedsUrl": f"{data}/chatter/feeds",
        "chatterGroupsUrl": f"{data}/chatter/groups",
        "chatterUsersUrl": f"{data}/chatter/users",
        "chatterFeedItemsUrl": f"{data}/chatter/feed-items",
        "userUrl": f"/{user_id}",
    }
