"""The HubSpot emulator: two portals behind HubSpot's paths. Entry point of the sandbox application."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from werkzeug import Request, Response

from sandbox.core.delivery import SEQ_KEY
from sandbox.core.world import Account, World

from . import (
    account,
    association_calls,
    consent,
    errors,
    objects,
    pipeline_calls,
    properties,
    seed,
    state,
)
from .call import JSON, NEWEST, Answer, Call, kind_of, unknown_path, wrong_method
from .errors import ApiError
from .limits import Limits, headers, too_many
from .oauth import ALL_SCOPES, REQUIRED_SCOPES, App, Grant, OAuth
from .portal import Portal
from .store import Source
from .webhooks import Sender

VERSIONS = {NEWEST, "2026-03", "v3", "v4"}
ADDRESS_LIMIT = 8192

Route = Callable[[Call], Answer]


class HubSpot:
    """All of HubSpot that an integration of companies, products and deals meets."""

    system = "hubspot"

    def __init__(self, world: World) -> None:
        self._world = world
        self._seeding = True
        world.declare(
            hubspot_redirect_uris=[],
            hubspot_required_scopes=list(REQUIRED_SCOPES),
            hubspot_optional_scopes=[],
        )
        clock = world.clock.time
        self.portals = {p.id: Portal(p, self._lag, clock) for p in seed.profiles()}
        self.oauth = OAuth(App(), self.portals, clock, world.seed)
        self._limits = Limits(world.limit_time)
        self._dice = random.Random(f"hubspot-ids-{world.seed}")
        seed.fill(self.portals, world.seed, world.sizes, int(clock() * 1000))
        for portal in self.portals.values():
            portal.witness = self._witness(str(portal.id))
        self._webhooks = Sender(world, self, self.oauth.app.client_secret, self.oauth.app.app_id)
        if world.webhook_url:
            self.send_webhooks({"target_url": world.webhook_url})
        self._seeding = False

    def _witness(self, account: str) -> Callable[[str, str, str, int | None], None]:
        """Writes a portal's deeds into the truth journal."""
        truth = self._world.truth

        def tell(object_name: str, action: str, key: str, request: int | None) -> None:
            truth.add(self.system, account, object_name, action, key, request=request)

        return tell

    def send_webhooks(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Where and how events are sent; what became of those sent so far."""
        if settings:
            self._webhooks.configure(settings)
        return self._webhooks.status()

    def _lag(self) -> float:
        return 0.0 if self._seeding else self._world.search_lag

    # -- what the sandbox asks of an emulator

    def accounts(self) -> list[Account]:
        """Both portals, connected through the same app."""
        app = self.oauth.app
        return [Account(self.system, str(p), app.client_id, app.client_secret) for p in self.portals]

    def token(self, account: str | None) -> tuple[str, str]:
        """A valid access token with all scopes, for driving the sandbox without OAuth."""
        portal = self.portal(account or str(next(iter(self.portals))))
        return str(portal.id), self.oauth.issue_access(portal, portal.profile.owners[0], ALL_SCOPES)

    def portal(self, account: str) -> Portal:
        """A portal by its id; KeyError when there is none."""
        return self.portals[int(account)]

    def records(self, account: str, object_name: str) -> list[dict[str, Any]]:
        """Raw and complete."""
        return state.records(self.portal(account), object_name)

    def account_of(self, request: Request) -> str | None:
        """The portal whose access or refresh token the request carries."""
        token = request.headers.get("Authorization", "").partition(" ")[2]
        grant = self.oauth.access.get(token) or self.oauth.refresh.get(request.form.get("refresh_token", ""))
        return str(grant.portal.id) if grant else None

    def edit_record(
        self, account: str, object_name: str, record_id: str | None, fields: dict[str, Any]
    ) -> dict[str, Any]:
        """What a person does on a record page."""
        try:
            return state.edit(self.portal(account), object_name, record_id, fields, self._moment())
        except ApiError as error:
            raise ValueError(str(error)) from error

    def delete_record(self, account: str, object_name: str, record_id: str) -> None:
        """What a person does on a record page: into the recycle bin."""
        state.delete(self.portal(account), object_name, record_id, self._moment())

    def disconnect(self, account: str) -> None:
        """An administrator uninstalls the app."""
        self.oauth.uninstall(self.portal(account))

    def fault_response(self, status: int, request: Request) -> Response:
        """Injected statuses in HubSpot's words."""
        return self._send(_fault(status))

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request."""
        parts = tuple(part for part in path.split("/") if part)
        try:
            if parts[:1] == ("oauth",):
                return self._oauth(request, parts[1:])
            return self._send(self._api(request, path, parts))
        except ApiError as error:
            return self._send(Answer(error.status, dict(error.body), error.headers))

    # -- inside

    def _moment(self) -> int:
        return int(self._world.clock.time() * 1000)

    def _api(self, request: Request, path: str, parts: tuple[str, ...]) -> Answer:
        if len(request.query_string) + len(path) > ADDRESS_LIMIT:
            raise ApiError(414, "URI Too Long")
        grant = self.oauth.authenticate(request.headers.get("Authorization"))
        found = _resolve(parts)
        rate: dict[str, str] = {}
        if self._world.limits:
            rate = self._limits.admit(grant.portal.id, search=parts[-1:] == ("search",))
        if found is None:
            error = unknown_path()
            error.headers.update(rate)
            raise error
        family, version, rest = found
        call = self._call(request, path, grant, version, rest)
        try:
            answer = self._route(family, call)
        except ApiError as error:
            error.headers.update(rate)
            raise
        answer.headers.update(rate)
        return answer

    def _call(self, request: Request, path: str, grant: Grant, version: str, parts: tuple[str, ...]) -> Call:
        grant.portal.acting = (Source("INTEGRATION", str(self.oauth.app.app_id)), self._moment())
        return Call(
            portal=grant.portal,
            version=version,
            method=request.method,
            parts=parts,
            path=path,
            query=request.args,
            raw=request.get_data(),
            scopes=frozenset(grant.scopes),
            source=Source("INTEGRATION", str(self.oauth.app.app_id)),
            moment=self._moment(),
            number=request.environ.get(SEQ_KEY),
        )

    def _route(self, family: str, call: Call) -> Answer:
        if family == "external-install":
            call.need(["oauth"])
            if call.method != "DELETE":
                raise wrong_method()
            self.oauth.uninstall(call.portal)
            return Answer(204)
        if family == "objects" and call.parts[2:3] == ("associations",):
            return association_calls.route_record(call)
        return _ROUTES[family](call)

    def _oauth(self, request: Request, parts: tuple[str, ...]) -> Response:
        """``/oauth/…``: pages for people, endpoints for the app's server."""
        match parts:
            case ("authorize",):
                return self._consent(request, None)
            case (portal_id, "authorize"):
                return self._consent(request, portal_id)
            case ("v1", ("access-tokens" | "refresh-tokens") as kind, token):
                return self._send(self.oauth.legacy(request.method, kind, token))
            case (version, "token", *rest) if version in VERSIONS | {"v1"}:
                return self._send(self._token_call(request, version, tuple(rest)))
        raise unknown_path()

    def _token_call(self, request: Request, version: str, rest: tuple[str, ...]) -> Answer:
        """Parameters come in a form body; only v1 still reads them from the address."""
        form = dict(request.form.items())
        if version == "v1":
            form = {**dict(request.args.items()), **form}
        calls = {
            (): self.oauth.token_call,
            ("introspect",): self.oauth.introspect,
            ("revoke",): self.oauth.revoke,
        }
        if rest not in calls or (rest and version == "v1"):
            raise unknown_path()
        if request.method != "POST":
            raise wrong_method()
        return calls[rest](form)

    def _consent(self, request: Request, portal_id: str | None) -> Response:
        options = self._world.options
        rules = consent.Rules(
            options["hubspot_redirect_uris"],
            options["hubspot_required_scopes"],
            options["hubspot_optional_scopes"],
        )
        return consent.respond(self.oauth, self.portals, rules, request, portal_id)

    def _send(self, answer: Answer) -> Response:
        correlation = str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
        body = answer.body
        if isinstance(body, dict) and "correlationId" in body:
            body["correlationId"] = correlation
        response = Response(status=answer.status)
        if body is not None:
            response.set_data(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
            response.headers["Content-Type"] = JSON
        else:
            del response.headers["Content-Type"]
        response.headers["x-hubspot-correlation-id"] = correlation
        for name, value in answer.headers.items():
            response.headers[name] = value
        return response


def _resolve(parts: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]] | None:
    """(family, version, rest) of a dated path or of its v3/v4 form; None for a path HubSpot does not have."""
    match parts:
        case ("crm", ("v3" | "v4") as version, family, *rest):
            pass
        case ("crm", family, version, *rest):
            pass
        case ("settings", "currencies", version, *rest) | ("settings", "v3" as version, "currencies", *rest):
            family = "currencies"
        case (("account-info" | "tax-rates") as family, version, *rest):
            pass
        case ("appinstalls", version, "external-install"):
            family, rest = "external-install", []
        case _:
            return None
    if version not in VERSIONS or not (rest or family in ("owners", "external-install")):
        return None
    if version == "v4" and family not in ("objects", "associations"):
        return None
    linking = family == "associations" or (family == "objects" and rest[2:3] == ["associations"])
    if linking == (version == "v3") and (linking or version == "v4"):
        return None  # links are v4's, records v3's; the dated paths have both
    return (family, version, tuple(rest)) if family in _FAMILIES else None


def _validations(call: Call) -> Answer:
    """Rules an administrator set on single properties: none in the sandbox."""
    call.need(kind_of(call.parts[0]).schema_scopes("read"))
    if call.method != "GET":
        raise wrong_method()
    return Answer(200, {"results": []})


_ROUTES: dict[str, Route] = {
    "objects": objects.route,
    "associations": association_calls.route,
    "properties": properties.route,
    "property-validations": _validations,
    "pipelines": pipeline_calls.route,
    "owners": account.route_owners,
    "account-info": account.route_account,
    "tax-rates": account.route_taxes,
    "currencies": account.route_currencies,
}
_FAMILIES = {*_ROUTES, "external-install"}


def _fault(status: int) -> Answer:
    if status == 429:
        error = too_many("TEN_SECONDLY_ROLLING", headers(0))
    elif status == 401:
        error = errors.no_credentials()
    elif status == 403:
        error = errors.missing_scopes(["oauth"])
    elif status == 423:
        error = ApiError(423, "This resource is temporarily locked, please retry.", "LOCKED")
    elif status == 477:
        error = ApiError(477, "Migration in progress", "MIGRATION_IN_PROGRESS", headers={"Retry-After": "3600"})
    else:
        error = ApiError(status, "internal error")
    return Answer(error.status, dict(error.body), error.headers)


EMULATOR = HubSpot
