"""A deployment from the administrator's sign-in to its end, resumable, and without a trace of the token afterwards.

Begun in the sign-in's callback, advanced by whoever looks (the page) and once a minute by the tick, so that it ends
whether or not anybody watches. The invariants: one deployment of an account at a time; its token is erased and revoked
when it ends, at the latest after an hour.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import requests
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations import oauth, readiness_store
from integrations.deployment_models import Deployment
from integrations.errors import AuthenticationFailed, Conflict, RateLimited, SyncError, Transient
from integrations.fields import DecryptionError, conceal, reveal
from integrations.locks import process_lock
from integrations.models import ConnectedAccount, Integration
from integrations.salesforce.components import Part, permission_sets
from integrations.salesforce.deploy import Administrator, DeployStatus
from integrations.salesforce.deploy_files import build_zip
from integrations.salesforce.events import inbound_url
from integrations.salesforce.sign_in import revoke_token
from integrations.sign_in import TokenAnswer
from integrations.token_store import refuse_other
from integrations.transport import guard

logger = logging.getLogger(__name__)

LONGEST = timedelta(hours=1)
State = Deployment.State


def parts_of(account: ConnectedAccount) -> list[Part]:
    """What is deployed into the org: the orders part only where it has orders."""
    return ["base", "orders"] if account.details.get("orders") else ["base"]


def wanted_permission_sets(account: ConnectedAccount) -> list[str]:
    """The permission sets that the integration's own user needs; those for people are given out by hand."""
    parts = parts_of(account)
    return [n for n, entry in permission_sets().items() if entry.part in parts and n.startswith("Fortnox_Integration")]


def begin(account: ConnectedAccount, answer: TokenAnswer, user: Any) -> Deployment:
    """Deploy with the token that an administrator's sign-in gave. Raises `WrongAccount` for another org, `Conflict`
    while a deployment runs; what Salesforce refuses is in the row that is returned."""
    deployment = Deployment(account=account, user=user)
    conceal(deployment, "access_token", answer.access_token)
    with process_lock(f"deployment:{deployment.pk}"):  # until it has left, nobody takes it for an interrupted one
        try:
            refuse_other(account, oauth.identify(account, answer).remote_id)
            with transaction.atomic():
                deployment.save()
        except (SyncError, IntegrityError) as error:
            _revoke(account, answer.access_token)
            if isinstance(error, SyncError):
                raise
            raise Conflict("A deployment of this account is under way", code="busy") from None
        try:
            administrator = Administrator(account.api_url, answer.access_token)
            deployment.remote_id = administrator.deploy(_archive(account, administrator))
            deployment.save(update_fields=["remote_id"])
        except (SyncError, ValueError) as error:
            _end(deployment, State.FAILED, [["", getattr(error, "message", str(error))]])
    return deployment


def advance(deployment: Deployment) -> Deployment:
    """Ask how far it is and do what follows; harmless when it has ended or another process is at it."""
    with process_lock(f"deployment:{deployment.pk}") as mine:
        deployment.refresh_from_db()
        if not mine or deployment.state != State.RUNNING:
            return deployment
        if deployment.started_at + LONGEST < timezone.now():
            _end(
                deployment, State.FAILED, [["", _("It took longer than an hour; see Deployment Status in Salesforce.")]]
            )
            return deployment
        try:
            administrator = Administrator(deployment.account.api_url, reveal(deployment, "access_token"))
            _look(deployment, administrator)
        except (Transient, RateLimited) as error:
            logger.info("deployment %s: %r", deployment.pk, error)
        except (SyncError, DecryptionError) as error:
            _end(deployment, State.FAILED, [["", getattr(error, "message", str(error))]])
    return deployment


def advance_all() -> None:
    """Every deployment that runs; never raises for one."""
    for deployment in Deployment.objects.filter(state=State.RUNNING).select_related("account"):
        try:
            advance(deployment)
        except Exception:
            logger.exception("deployment %s could not be advanced", deployment.pk)


def _look(deployment: Deployment, administrator: Administrator) -> None:
    if not deployment.remote_id:
        raise AuthenticationFailed("The deployment was interrupted before it reached Salesforce", code="no_outcome")
    status = administrator.status(deployment.remote_id)
    deployment.done, deployment.total = status.deployed, status.total
    deployment.save(update_fields=["done", "total"])
    if not status.done:
        return
    if not status.success:
        _end(deployment, State.FAILED, _problems(status))
        return
    _end(deployment, State.SUCCEEDED, _assign(deployment.account, administrator))
    _check_again(deployment)


def _check_again(deployment: Deployment) -> None:
    """What was red because our fields were missing is looked at again without anybody asking."""
    for integration in Integration.objects.filter(crm_account=deployment.account).exclude(mode=Integration.Mode.OFF):
        readiness_store.ask(integration, deployment.user)


def _assign(account: ConnectedAccount, administrator: Administrator) -> list[list[str]]:
    """Give the integration's user its permission sets; what could not be given, in words. Raises only what a later
    look may cure."""
    wanted = wanted_permission_sets(account)
    try:
        missing = administrator.assign(wanted, str(account.details.get("user_id") or ""))
    except (Transient, RateLimited):
        raise
    except SyncError as error:
        return [[", ".join(wanted), _("Could not be assigned: %(text)s") % {"text": error.message}]]
    return [[name, _("The permission set is not in the org.")] for name in missing]


def _problems(status: DeployStatus) -> list[list[str]]:
    return [list(problem) for problem in status.problems] or [["", status.status]]


def _archive(account: ConnectedAccount, administrator: Administrator) -> bytes:
    last = account.deployments.exclude(state=State.RUNNING).first()
    refused = [where for where, _problem in last.problems] if last else []
    return build_zip(
        parts_of(account),
        endpoint=inbound_url(account),
        site=settings.PUBLIC_URL,
        username=administrator.username(str(account.details.get("user_id") or "")),
        # An org that may refuse active flows did so the last time; as drafts they arrive, to be switched on by hand.
        flows_active=not any(where.startswith("Flow ") for where in refused),
    )


def _end(deployment: Deployment, state: str, problems: list[list[str]]) -> None:
    """The outcome, and the token forgotten here and at Salesforce."""
    try:
        token = reveal(deployment, "access_token")
    except DecryptionError:
        token = ""
    deployment.state, deployment.problems, deployment.finished_at = state, problems, timezone.now()
    deployment.access_token = ""
    deployment.save()
    confirmed = not token or _revoke(deployment.account, token)
    logger.info("deployment %s ended: %s, token revoked: %s", deployment.pk, state, confirmed)


def _revoke(account: ConnectedAccount, token: str) -> bool:
    """Whether Salesforce confirmed; never raises."""
    try:
        with guard(requests.Session(), system=account.system) as session:
            return revoke_token(session, account, token)
    except (requests.RequestException, SyncError):
        return False
