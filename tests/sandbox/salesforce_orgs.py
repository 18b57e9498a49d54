"""Worlds and calls for the tests of the Salesforce emulator's outer half."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from werkzeug.test import Client, TestResponse

from sandbox.app import create_app
from sandbox.core.world import Sizes, World
from sandbox.salesforce.emulator import Salesforce
from sandbox.salesforce.tenant import Tenant

V = "/services/data/v67.0"
CALLBACK = "http://localhost:8000/callback"
VERIFIER = "v" * 64
NAMESPACE = 'xmlns="http://soap.sforce.com/2006/04/metadata"'


class Orgs:
    """One sandbox world with Salesforce in it, called in-process."""

    def __init__(self, *, accounts: int = 4, seed: int = 1) -> None:
        self.world = World({"salesforce": Salesforce}, seed=seed, sizes=Sizes(accounts=accounts))
        self.client = Client(create_app(self.world))
        self.main, self.second = self.emulator.tenants.values()
        self.token = self.token_of(self.main.integration)
        self.admin = self.token_of(self.main.admin)

    @property
    def emulator(self) -> Salesforce:
        emulator = self.world.emulators["salesforce"]
        assert isinstance(emulator, Salesforce)
        return emulator

    def token_of(self, user_id: str, tenant: Tenant | None = None) -> str:
        return self.emulator.oauth.issue_session(tenant or self.main, user_id, ("api",))

    def settings(self, tenant: Tenant | None = None, **values: Any) -> TestResponse:
        name = (tenant or self.main).org.id
        return self.client.post("/control/settings", json={"salesforce": {name: values}})

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        return self.client.open(f"/salesforce{path}", method=method, headers=headers, **more)

    def ok(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.call(method, path, body, **more)
        assert answer.status_code < 300, answer.get_data(as_text=True)
        return answer.get_json(silent=True)

    def query(self, soql: str, **more: Any) -> list[dict[str, Any]]:
        return list(self.ok("GET", f"{V}/query/?q={quote(soql)}", **more)["records"])

    # -- OAuth

    def post(self, path: str, **form: str) -> TestResponse:
        return self.client.post(f"/salesforce{path}", data=form)

    def app_of(self, tenant: Tenant | None = None) -> dict[str, str]:
        app = (tenant or self.main).app
        return {"client_id": app.client_id, "client_secret": app.client_secret}

    def authorize_url(self, tenant: Tenant | None = None, host: str = "", **changed: str | None) -> str:
        query = {
            "response_type": "code",
            "client_id": (tenant or self.main).app.client_id,
            "redirect_uri": CALLBACK,
            "scope": "api refresh_token openid id",
            "state": "s1",
            "code_challenge": challenge(VERIFIER),
            "code_challenge_method": "S256",
            **changed,
        }
        listed = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items() if value is not None)
        return f"/salesforce{host}/services/oauth2/authorize?{listed}"

    def consent(self, url: str, **form: str) -> dict[str, str]:
        """Press a button: what the callback is told."""
        answer = self.client.post(url, data={"decision": "allow", **form})
        assert answer.status_code == 302, answer.get_data(as_text=True)
        location = urlsplit(answer.headers["Location"])
        assert f"{location.scheme}://{location.netloc}{location.path}" == CALLBACK
        return {name: values[0] for name, values in parse_qs(location.query).items()}

    def connect(self, tenant: Tenant | None = None, **form: str) -> dict[str, Any]:
        """The whole flow: the token response."""
        code = self.consent(self.authorize_url(tenant), **form)["code"]
        answer = self.exchange(code, tenant)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return dict(answer.get_json())

    def exchange(self, code: str, tenant: Tenant | None = None, **changed: str) -> TestResponse:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.post("/services/oauth2/token", **{**form, **self.app_of(tenant), **changed})

    def refresh(self, token: str, tenant: Tenant | None = None) -> TestResponse:
        form = {"grant_type": "refresh_token", "refresh_token": token, **self.app_of(tenant)}
        return self.post("/services/oauth2/token", **form)

    # -- deployments

    def deploy(self, files: dict[str, str | bytes], *, token: str | None = None, **options: Any) -> dict[str, Any]:
        """Deploy, and ask until it is done: the result."""
        begun = self.begin_deploy(files, token=token, **options)
        assert begun.status_code == 201, begun.get_data(as_text=True)
        for _ in range(5):
            path = f"{V}/metadata/deployRequest/{begun.get_json()['id']}?includeDetails=true"
            result = self.ok("GET", path, token=token or self.admin)["deployResult"]
            if result["done"]:
                return dict(result)
        raise AssertionError(result)

    def begin_deploy(self, files: dict[str, str | bytes], *, token: str | None = None, **options: Any) -> TestResponse:
        wanted = {"deployOptions": {"rollbackOnError": True, "singlePackage": True, **options}}
        parts = {
            "json": (io.BytesIO(json.dumps(wanted).encode()), "", "application/json"),
            "file": (io.BytesIO(zipped(files)), "deploy.zip", "application/zip"),
        }
        return self.call("POST", f"{V}/metadata/deployRequest", token=token or self.admin, data=parts)


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def error_of(answer: TestResponse) -> tuple[int, str, str]:
    """Status, code and text of an OAuth refusal."""
    body = answer.get_json()
    return answer.status_code, body["error"], body["error_description"]


def zipped(files: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def manifest(**members: list[str]) -> str:
    types = "".join(
        f"<types>{''.join(f'<members>{name}</members>' for name in names)}<name>{kind}</name></types>"
        for kind, names in members.items()
    )
    return f"<Package {NAMESPACE}>{types}<version>67.0</version></Package>"


def object_file(*fields: str, rest: str = "") -> str:
    return f"<CustomObject {NAMESPACE}>{''.join(fields)}{rest}</CustomObject>"


def text_field(name: str, *, length: int | None = 64, more: str = "") -> str:
    size = "" if length is None else f"<length>{length}</length>"
    return f"<fields><fullName>{name}</fullName><label>{name}</label>{size}<type>Text</type>{more}</fields>"


def permission_set(name: str, *fields: str, more: str = "") -> str:
    granted = "".join(
        f"<fieldPermissions><editable>true</editable><field>{field}</field><readable>true</readable></fieldPermissions>"
        for field in fields
    )
    return f"<PermissionSet {NAMESPACE}>{more}{granted}<label>{name}</label></PermissionSet>"
