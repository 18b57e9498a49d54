"""The Salesforce emulator: orgs behind Salesforce's paths. Entry point of the sandbox application.

``/salesforce/…`` stands for the login host and answers calls by token too, ``/salesforce/test/…`` for the login host of
sandboxes, ``/salesforce/my/<domain>/…`` for an org's own host, which its tokens name as ``instance_url``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from werkzeug import Request, Response
from werkzeug.utils import redirect

from sandbox.core.delivery import SEQ_KEY
from sandbox.core.world import Account, World

from . import consent, identity, seed, state, wire
from .assertion import public_keys
from .call import Answer, Call
from .errors import SfError, not_found
from .oauth import OAuth, Session
from .oauth_calls import OAuthCalls
from .org import Event
from .outbound import Sender
from .routes import dispatch
from .settings import Settings
from .tenant import LOGIN, MY, TEST, Address, Tenant, my_domain

ADDRESS_LIMIT = 16_384
ALL_SCOPES = ("refresh_token", "api", "openid", "id")


class Salesforce:
    """All of Salesforce that an integration of accounts, products, opportunities and orders meets."""

    system = "salesforce"

    def __init__(self, world: World) -> None:
        self._world = world
        self.tenants: dict[str, Tenant] = seed.build(world.seed, world.sizes, world.clock)
        self.oauth = OAuth(world.clock.time, world.seed)
        self._oauth_calls = OAuthCalls(self.oauth, self.tenants, world.clock.time, world.truth)
        self._late: list[tuple[float, Callable[[], object]]] = []
        world.govern("salesforce", Settings(self.tenants).apply)
        self.root = f"http://localhost/{self.system}"  # as the latest request named this computer
        self.sender = Sender(world, self)
        for tenant in self.tenants.values():
            tenant.org.listeners.append(self._witness(tenant))

    def _witness(self, tenant: Tenant) -> Callable[[Event], None]:
        """Writes an org's deeds into the truth journal, and hands them to what the org sends."""
        truth, org_id = self._world.truth, tenant.org.id

        def tell(event: Event) -> None:
            truth.add(self.system, org_id, event.object, event.action, event.id, request=event.request)
            self.sender.hear(tenant, event)

        return tell

    # -- what the sandbox asks of an emulator

    def accounts(self) -> list[Account]:
        """The orgs, each with its own external client app."""
        return [
            Account(self.system, org_id, tenant.app.client_id, tenant.app.client_secret)
            for org_id, tenant in self.tenants.items()
        ]

    def tenant(self, account: str) -> Tenant:
        """An org by its id in either form, or by its My Domain; KeyError when there is none."""
        for org_id, tenant in self.tenants.items():
            if account in (org_id, org_id[:15], tenant.org.my_domain):
                return tenant
        raise KeyError(account)

    def token(self, account: str | None) -> tuple[str, str]:
        """A valid access token of the integration user, for driving the sandbox without OAuth."""
        tenant = self.tenant(account or next(iter(self.tenants)))
        return tenant.org.id, self.oauth.issue_session(tenant, tenant.integration, ALL_SCOPES)

    def records(self, account: str, object_name: str) -> list[dict[str, Any]]:
        """Raw and complete."""
        self._commit_late()
        return state.records(self.tenant(account).org, object_name)

    def account_of(self, request: Request) -> str | None:
        """The org whose access or refresh token the request carries."""
        token = request.headers.get("Authorization", "").partition(" ")[2]
        if session := self.oauth.sessions.get(token):
            return session.tenant.org.id
        form = request.form
        refresh = form.get("refresh_token", "")
        if grant := self.oauth.grants.get(refresh) or self.oauth.spent.get(refresh):
            return grant.tenant.org.id
        client = form.get("client_id")
        return next((org_id for org_id, t in self.tenants.items() if t.app.client_id == client), None)

    def edit_record(
        self, account: str, object_name: str, record_id: str | None, fields: dict[str, Any]
    ) -> dict[str, Any]:
        """What a salesperson does on a record page. With ``late_commit_seconds`` it is stamped now and seen later."""
        tenant = self.tenant(account)
        late = tenant.app.policies.late_commit_seconds
        try:
            if late:
                commit = state.later(tenant, object_name, record_id, fields)
                self._late.append((self._world.clock.time() + late, commit))
                return {"id": record_id, "pending": True, **fields}
            return state.edit(tenant, object_name, record_id, fields)
        except SfError as error:
            raise ValueError(str(error)) from error

    def delete_record(self, account: str, object_name: str, record_id: str) -> None:
        """What a salesperson does on a record page: into the recycle bin."""
        try:
            state.delete(self.tenant(account), object_name, record_id)
        except SfError as error:
            raise KeyError(record_id) from error

    def disconnect(self, account: str) -> None:
        """An administrator revokes every token the app has."""
        self.oauth.end_all(self.tenant(account))

    def send_webhooks(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Where and how outbound messages and callouts are sent; what became of those sent so far."""
        if settings:
            self.sender.configure(settings)
        return self.sender.status()

    def fault_response(self, status: int, request: Request) -> Response:
        """Injected statuses in Salesforce's words."""
        return wire.send(wire.fault(status, request.path))

    def respond(self, request: Request, path: str) -> Response:
        """Answer one request; ``path`` comes after ``/salesforce``."""
        self._commit_late()
        address, rest = self._address(request, wire.segments(request)[1:])
        if address is None:
            return wire.send(wire.no_such_host())
        match rest:
            case ("services", "oauth2", "authorize"):
                return consent.respond(self.oauth, self.tenants, address, request)
            case ("services", "oauth2", ("token" | "revoke" | "introspect") as name):
                return wire.send(self._oauth_calls.answer(name, request, address))
            case ("services", "data", *data):
                return self._rest(request, address, tuple(data))
            case ("lightning", *_) if address.tenant is not None:  # a My Domain sends people on to the pages
                return redirect(f"{address.root}/ui/{address.tenant.org.id}/{'/'.join(rest)}")
            case _:
                return wire.send(self._about(request, address, rest))

    # -- inside

    def _address(self, request: Request, segments: tuple[str, ...]) -> tuple[Address | None, tuple[str, ...]]:
        """(the host that was meant, the path on it); no host for a domain nobody has."""
        root = self.root = f"{request.host_url}{self.system}"
        if segments[:1] == ("my",):
            tenant = next((t for t in self.tenants.values() if (t.org.my_domain,) == segments[1:2]), None)
            return (Address(MY, root, tenant) if tenant else None), segments[2:]
        if segments[:1] == ("test",):
            return Address(TEST, root), segments[1:]
        return Address(LOGIN, root), segments

    def _about(self, request: Request, address: Address, rest: tuple[str, ...]) -> Answer:
        """Identity and the other endpoints beside the data."""
        session = self.oauth.session(_bearer(request) or request.values.get("access_token", ""))
        match rest:
            case (".well-known", "openid-configuration"):
                return Answer(200, identity.configuration(address))
            case ("id", "keys"):
                return Answer(200, public_keys())
            case ("services", "oauth2", "userinfo"):
                return Answer(200, identity.userinfo(session, address)) if session else identity.bad_token()
            case ("id", org_id, user_id):
                if session is None:
                    return identity.bad_token()
                who = identity.describe_person(session.tenant, session.user_id, address)
                asked = (org_id[:15], user_id[:15])
                if asked != (who["organization_id"][:15], who["user_id"][:15]):
                    return identity.bad_token()
                return Answer(200, who)
        return Answer(404, not_found().body())

    def _rest(self, request: Request, address: Address, data: tuple[str, ...]) -> Response:
        """``/services/data/…``."""
        if not data:
            return wire.send(Answer(200, identity.versions()))
        if len(request.environ.get("RAW_URI", "")) > ADDRESS_LIMIT or len(request.query_string) > ADDRESS_LIMIT:
            return wire.send(Answer(414, "<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>", wire.HTML))
        try:
            version = wire.version(data[0])
            session = self._authenticate(request, address)
        except SfError as error:
            return wire.send(Answer(error.status, error.body()))
        call = self._call(request, session, version, data[1:])
        answer = wire.send(wire.counted(call, dispatch, limited=self._world.limits))
        answer.date = datetime.fromtimestamp(call.moment / 1000, UTC)  # readers take their next start from it
        return answer

    def _authenticate(self, request: Request, address: Address) -> Session:
        """The session of the request, prolonged; 401 when there is none, or none of this host."""
        token = _bearer(request)
        if not token:
            raise SfError(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        session = self.oauth.session(token)
        if session is None or (address.tenant is not None and session.tenant is not address.tenant):
            raise wire.expired_session()
        fault = session.tenant.app.policies.session_fault
        if fault:
            raise wire.session_faults[fault]()
        self.oauth.touch(session)
        return session

    def _call(self, request: Request, session: Session, version: str, parts: tuple[str, ...]) -> Call:
        return Call(
            org=session.tenant.org,
            user_id=session.user_id,
            version=version,
            method=request.method,
            parts=parts,
            query=request.args,
            raw=request.get_data(),
            headers=wire.headers(request),
            moment=session.tenant.org.now_ms(),
            number=request.environ.get(SEQ_KEY),
            dispatch=dispatch,
            base=my_domain(f"{request.host_url}{self.system}", session.tenant),
            tenant=session.tenant,
        )

    def _commit_late(self) -> None:
        """What people saved a while ago and whose transaction ends now."""
        now = self._world.clock.time()
        due = [commit for moment, commit in self._late if moment <= now]
        self._late = [(moment, commit) for moment, commit in self._late if moment > now]
        for commit in due:
            commit()


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


EMULATOR = Salesforce
