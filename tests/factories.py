"""Plain functions that build valid rows, for tests of every room.

Each takes what a test wants to say and fills in the rest; the invariant: what comes back is saved and passes the
database's constraints, and two calls without arguments never collide.
"""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.auth.models import Permission, User
from django.utils import timezone

from integrations.models import ConnectedAccount, Integration, Membership, Organization
from mappings.models import MappingSet
from mappings.models.mapping_set import Side
from sync.models import Change, EntityLink, Flow, FlowPass, SyncLogEntry, SyncRun
from sync.states import Action, State

_numbers = itertools.count(1)


def make_organization(name: str = "", **fields: Any) -> Organization:
    """A customer of the consultancy."""
    return Organization.objects.create(name=name or f"Organization {next(_numbers)}", **fields)


def make_user(
    username: str = "",
    *,
    organization: Organization | None = None,
    permissions: str = "",
    superuser: bool = False,
    role: str = "",
) -> User:
    """A staff member, of `organization` when given, as `role`.

    `permissions` are further rights, `app.codename`, separated by spaces. Without a role, whoever is given rights is a
    viewer with those, so that a test says exactly what its person may do; whoever is given none is a consultant.
    """
    user = User.objects.create_user(
        username or f"user{next(_numbers)}", password="correct horse battery", is_staff=True, is_superuser=superuser
    )
    for label in permissions.split():
        app, codename = label.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    if organization is not None:
        role = role or (Membership.Role.VIEWER if permissions else Membership.Role.CONSULTANT)
        Membership.objects.create(organization=organization, user=user, role=role)
    return user


def make_superuser(username: str = "") -> User:
    """Somebody who may do everything."""
    return make_user(username, superuser=True)


def make_account(
    organization: Organization | None = None, system: str = "fortnox", *, name: str = "", **fields: Any
) -> ConnectedAccount:
    """A connected account, without tokens."""
    number = next(_numbers)
    return ConnectedAccount.objects.create(
        organization=organization or make_organization(),
        system=system,
        name=name or f"{system.title()} {number}",
        remote_id=fields.pop("remote_id", str(100000 + number)),
        api_url=fields.pop("api_url", "http://127.0.0.1:9/api"),
        oauth_url=fields.pop("oauth_url", "http://127.0.0.1:9/oauth"),
        status=fields.pop("status", ConnectedAccount.Status.CONNECTED),
        **fields,
    )


def make_integration(
    organization: Organization | None = None,
    *,
    crm: ConnectedAccount | None = None,
    ledger: ConnectedAccount | None = None,
    **fields: Any,
) -> Integration:
    """A HubSpot portal paired with a Fortnox company."""
    organization = organization or make_organization()
    crm = crm or make_account(organization, "hubspot")
    ledger = ledger or make_account(organization, "fortnox")
    name = fields.pop("name", f"{crm.name} ↔ {ledger.name}")
    return Integration.objects.create(
        organization=organization, crm_account=crm, ledger_account=ledger, name=name, **fields
    )


def make_mapping_set(
    integration: Integration | None = None, slug: str = "customers-to-companies", **fields: Any
) -> MappingSet:
    """A published mapping without rules; `state="draft"` for one that may be edited."""
    state = fields.pop("state", "published")
    values: dict[str, Any] = {
        "name": slug.replace("-", " ").capitalize(),
        "source_side": Side.LEDGER,
        "source_object": "customer",
        "target_side": Side.CRM,
        "target_object": "company",
        "published_at": None if state == "draft" else timezone.now(),
    }
    return MappingSet.objects.create(
        integration=integration or make_integration(), slug=slug, state=state, **(values | fields)
    )


def make_flow(integration: Integration | None = None, slug: str = "customers-to-companies", **fields: Any) -> Flow:
    """A flow from Fortnox customers to CRM companies, switched on and past its first approval."""
    values: dict[str, Any] = {
        "name": slug.replace("-", " ").capitalize(),
        "source_side": Side.LEDGER,
        "source_object": "customer",
        "target_side": Side.CRM,
        "target_object": "company",
        "enabled": True,
        "first_run_approved_at": timezone.now(),
    }
    return Flow.objects.create(integration=integration or make_integration(), slug=slug, **(values | fields))


def make_pass(flow: Flow, subset: str = "overdue", **fields: Any) -> FlowPass:
    """A further look at a named subset."""
    return FlowPass.objects.create(flow=flow, subset=subset, **({"name": subset.capitalize()} | fields))


def make_run(flow: Flow | None = None, **fields: Any) -> SyncRun:
    """A finished run."""
    flow = flow or make_flow()
    values: dict[str, Any] = {"trigger": SyncRun.Kind.MANUAL, "state": SyncRun.State.DONE}
    if fields.get("state", "done") in ("done", "failed", "cancelled"):
        values["finished_at"] = timezone.now()
    return SyncRun.objects.create(flow=flow, integration=flow.integration, **(values | fields))


def make_change(run: SyncRun | None = None, *, flow: Flow | None = None, **fields: Any) -> Change:
    """A change of one customer, waiting for approval; a state that needs a reason is given one."""
    flow = flow or (run.flow if run else make_flow())
    number = next(_numbers)
    values: dict[str, Any] = {
        "action": Action.UPDATE,
        "state": State.HELD,
        "source_id": str(number),
        "source_title": f"Customer {number} AB",
        "target_id": str(9000 + number),
        "reason": {"en": "The source changed.", "sv": "Källan har ändrats."},
        "diff": [{"field": "city", "before": "Lund", "after": "Malmö", "reason": ""}],
    }
    state = fields.get("state", State.HELD)
    if state == State.REVIEW:
        values |= {"error_class": "data", "error_code": "2000588", "error_message": "Wrong value."}
    if state == State.DISMISSED:
        values |= {"dismissed_reason": "Not wanted."}
    return Change.objects.create(integration=flow.integration, flow=flow, run=run, **(values | fields))


def make_link(integration: Integration | None = None, **fields: Any) -> EntityLink:
    """Two records that are the same."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "crm_object": "company",
        "crm_id": str(9000 + number),
        "ledger_object": "customer",
        "ledger_id": str(number),
        "title": f"Customer {number} AB",
    }
    return EntityLink.objects.create(integration=integration or make_integration(), **(values | fields))


def make_log(change: Change, event: str = "queued→sending", **fields: Any) -> SyncLogEntry:
    """A line in the log of a change."""
    return SyncLogEntry.objects.create(
        integration_id=change.integration_id, run_id=change.run_id, change=change, event=event, **fields
    )
