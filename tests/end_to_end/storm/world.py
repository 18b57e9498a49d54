"""What a storm needs in the database: two connected accounts, one flow from deals to invoices, and pressing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations.fields import conceal
from integrations.models import ConnectedAccount
from mappings.models import FieldMapping
from mappings.models.mapping_set import Side
from mappings.models.versions import publish
from sync.engine.failpoints import reach
from sync.models import Change, Flow
from sync.states import Action, State
from sync.values import dump
from tests.factories import make_account, make_flow, make_integration, make_mapping_set, make_organization
from tests.sandbox_process import SandboxProcess

CUSTOMERS = 20
FIRST_DEAL = 7_000_000


@dataclass
class Plan:
    """One storm. `rate` is how many creates arrive per second, each pressed by two processes; `naive` is the control:
    retry on error, no search, no lock. Times are scaled: seconds instead of the vendor's half-minutes."""

    operations: int
    seed: int = 1
    workers: int = 10
    rate: float = 180
    faults: dict[str, float] = field(default_factory=dict)
    kills: int = 0
    stops: int = 0
    stop_seconds: float = 3.5
    failpoints: str = ""
    each_place: int = 0  # kill this often at every failpoint in turn
    naive: bool = False
    timeout: int = 1
    lateness: int = 4  # a commit comes 0.8 s after our timeout at most; the rest is for a machine that others keep busy
    search_lag: int = 1
    settle: int = 6
    reference_lag: float = 0.3
    patience: float = 90  # without any movement
    flow_id: int = 0
    flow_ids: list[int] = field(default_factory=list)  # serve these flows instead of pressing

    def environment(self) -> dict[str, str]:
        """The settings of the worker processes, as environment variables."""
        return {
            "HTTP_TIMEOUT_SECONDS": str(self.timeout),
            "REMOTE_LATENESS_SECONDS": str(self.lateness),
            "SEARCH_LAG_SECONDS": str(self.search_lag),
            "SETTLE_SECONDS": str(self.settle),
            "LOOK_AGAIN_SECONDS": str(self.search_lag),
            "FAILPOINTS": self.failpoints,
        }

    def told(self) -> dict[str, Any]:
        """As JSON for another process."""
        return asdict(self)


ELEVEN = (
    "status_429_retry_after", "status_500", "status_500_html", "status_503", "status_500_after_commit",
    "timeout_after_commit", "late_commit", "reset_before", "reset_mid_body", "malformed_json", "slow_drip",
)  # fmt: skip
"""The fault kinds of R-01, a fifth of all requests between them."""
FAULTS = {kind: 0.2 / len(ELEVEN) for kind in ELEVEN}


def prepare(sandbox: SandboxProcess, plan: Plan) -> Flow:
    """A fresh sandbox with customers, and the flow that bills deals to them."""
    sandbox.control("POST", "/reset", {"empty": True})
    sandbox.control("POST", "/settings", {"reference_lag": plan.reference_lag})
    organization = make_organization()
    crm, ledger = (_account(sandbox, organization, system) for system in ("hubspot", "fortnox"))
    for number in range(1, CUSTOMERS + 1):
        body = {"id": str(number), "fields": {"Name": f"Customer {number} AB"}}
        sandbox.control("POST", f"/records/fortnox/{ledger.remote_id}/customers", body)
    integration = make_integration(organization, crm=crm, ledger=ledger, brake_records=10_000_000)
    sides = {"source_side": Side.CRM, "source_object": "deal", "target_side": Side.LEDGER, "target_object": "invoice"}
    draft = make_mapping_set(integration, "storm", state="draft", **sides)
    FieldMapping.objects.create(
        mapping_set=draft, position=1, target_field="CustomerNumber", expression="deal.dealname"
    )
    publish(draft, None, check=False)
    return make_flow(integration, "storm", first_run_approved_at=timezone.now(), **sides)


def _account(sandbox: SandboxProcess, organization: Any, system: str) -> ConnectedAccount:
    token = sandbox.control("POST", "/token", {"system": system})
    later = timezone.now() + timedelta(days=1)
    account = make_account(
        organization, system, remote_id=token["account"], api_url=token["base_url"], oauth_url=token["base_url"],
        access_expires_at=later, refreshed_at=timezone.now(), refresh_due_at=later,
        granted_scopes=settings.VENDORS[system]["scopes"],
    )  # fmt: skip
    conceal(account, "access_token", token["access_token"])
    account.save()
    return account


def price(number: int) -> Decimal:
    """What deal `number` is billed for: different for neighbours, so that a mixed-up invoice shows."""
    return Decimal(100 + number % 997)


def _wish(flow: Flow, number: int) -> Change:
    fields = {"CustomerNumber": str(1 + number % CUSTOMERS), "Currency": "SEK"}
    line = {"Description": f"Order {number}", "DeliveredQuantity": dump(Decimal(1)), "Price": dump(price(number))}
    return Change(
        integration_id=flow.integration_id, flow=flow, action=Action.CREATE, state=State.QUEUED,
        source_id=str(FIRST_DEAL + number), source_title=f"Deal {number}", amount=price(number), currency="SEK",
        payload={"fields": fields, "lines": [line]}, reason={"en": "Pressed."},
    )  # fmt: skip


def press(flow: Flow, numbers: Sequence[int]) -> None:
    """A person presses “create invoice” on these deals: what is not wished for yet is written down, in one go.

    Two who press at once may both find nothing; the database then keeps one wish of the two, or the second one finds
    the first one's reference taken.
    """
    ids = {str(FIRST_DEAL + number): number for number in numbers}
    with transaction.atomic():
        there = set(Change.objects.filter(flow=flow, source_id__in=ids).values_list("source_id", flat=True))
        wishes = [_wish(flow, number) for source_id, number in ids.items() if source_id not in there]
        Change.objects.bulk_create(wishes, ignore_conflicts=True)
        reach("press.before_commit")
    reach("press.committed")


def jitter() -> float:
    """The difference between two people's clicks."""
    return random.uniform(0, 0.04)
