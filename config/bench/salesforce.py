"""Accounts both ways: how many calls a Salesforce org is asked for, and that an echo costs none at the ledger.

The limits are off: what counts here are calls (a query page carries 2,000 records, a collection 200), not the pace.
"""

from __future__ import annotations

import time
from collections import Counter
from math import ceil
from typing import Any

import requests
from django.utils import timezone

from config.bench.world import Sandbox, account, peak_megabytes
from integrations.models import Integration, Organization
from integrations.salesforce.components import permission_sets
from integrations.salesforce.deploy import Administrator
from integrations.salesforce.deploy_files import build_zip
from sync.engine.run import Order, work
from sync.flows import install
from sync.models import Flow, SyncRun

OUT, BACK = "customers-to-accounts", "accounts-to-customers"
Result = dict[str, Any]


def measure(scale: float) -> Result:
    """10,000 customers into an org, back again as an echo, then 1 % changed on either side."""
    n = int(10_000 * scale)
    sizes = ("--customers", str(n), "--articles", "0", "--invoices", "0", "--accounts", "0", "--no-limits")
    with Sandbox(*sizes) as sandbox:
        flows = _build(sandbox)
        first = _timed(sandbox, flows[OUT])
        tenant, org = (flows[OUT].integration.account(side).remote_id for side in ("ledger", "crm"))
        accounts = sandbox.control("GET", f"state/salesforce/{org}/Account")["records"]
        result: Result = {
            "customers": n, "accounts": len(accounts), "import_calls": first["calls"], "import_s": first["seconds"],
            "collections_allowed": ceil(len(accounts) / 200), "query_pages_allowed": ceil(len(accounts) / 2000),
            "echo": _timed(sandbox, flows[BACK]),
        }  # fmt: skip
        sandbox.control("POST", "clock", {"advance_seconds": 900})
        _fresh_token(sandbox, flows)
        result["no_change_out"] = _timed(sandbox, flows[OUT])
        result["no_change_back"] = _timed(sandbox, flows[BACK])
        for row in accounts[: len(accounts) // 100]:
            body = {"id": row["id"], "fields": {"Phone": "+46 8 123 45 67"}}
            sandbox.control("POST", f"records/salesforce/{org}/Account", body)
        result["one_percent_back"] = _timed(sandbox, flows[BACK])
        result["its_echo"] = _timed(sandbox, flows[OUT])
        customers = sandbox.control("GET", f"state/fortnox/{tenant}/customers")["records"]
        for row in customers[-(len(customers) // 100) :]:
            body = {"id": row["CustomerNumber"], "fields": {"City": "Flyttad"}}
            sandbox.control("POST", f"records/fortnox/{tenant}/customers", body)
        result["one_percent_out"] = _timed(sandbox, flows[OUT])
        return result | {"peak_mb": peak_megabytes()}


def _timed(sandbox: Sandbox, flow: Flow) -> Result:
    since, started = sandbox.total(), time.monotonic()
    done = work(flow, Order(trigger=SyncRun.Kind.COMMAND))
    while done.run is not None and not done.finished:
        done = work(flow)
    run = SyncRun.objects.filter(flow=flow).latest("pk")
    if run.state != SyncRun.State.DONE:
        raise RuntimeError(f"run is {run.state}: {run.error_code} {run.error_message} {run.hold_text}")
    calls: Counter[str] = Counter()
    for row in sandbox.requests_since(since):
        calls[f"{row['system']} {row['method']} {_path(row['path'])}"] += 1
    return {"seen": run.seen, "counts": run.counts, "calls": dict(calls), "seconds": time.monotonic() - started}


def _path(path: str) -> str:
    parts = [part for part in path.split("/") if part and not part[0].isdigit() and part not in ("services", "data")]
    return "/".join(parts[-3:] if "composite" in parts else parts[-1:])[:60].split("/01g")[0]


def _build(sandbox: Sandbox) -> dict[str, Flow]:
    organization = Organization.objects.create(name="Bench")
    crm, ledger = account(sandbox, organization, "salesforce"), account(sandbox, organization, "fortnox")
    crm.details = {"currency": "SEK", "multi_currency": False}
    crm.save(update_fields=["details"])
    _deploy(sandbox, crm.remote_id, crm.api_url)
    integration = Integration.objects.create(
        organization=organization, name="Bench", crm_account=crm, ledger_account=ledger, brake_records=10_000_000
    )
    for flow in install(integration):
        if flow.slug in (OUT, BACK):
            flow.enabled, flow.approval, flow.first_run_approved_at = True, Flow.Approval.AUTOMATIC, timezone.now()
            flow.save()
    return {slug: Flow.objects.get(integration=integration, slug=slug) for slug in (OUT, BACK)}


def _deploy(sandbox: Sandbox, org: str, url: str) -> None:
    """Our package, by the org's administrator."""
    token = sandbox.control("POST", "token", {"system": "salesforce"})["access_token"]
    sandbox.control("POST", "settings", {"salesforce": {org: {"user_may_deploy": True}}})
    headers = {"Authorization": f"Bearer {token}"}
    user = requests.get(f"{url}/services/oauth2/userinfo", headers=headers, timeout=30).json()["user_id"]
    administrator = Administrator(url, token)
    archive = build_zip(
        ["base", "orders"], username=administrator.username(user), endpoint="https://bench.example/in",
        site="https://bench.example",
    )  # fmt: skip
    deployment = administrator.deploy(archive)
    while not (status := administrator.status(deployment)).done:
        pass
    if not status.success:
        raise RuntimeError(f"the package was refused: {list(status.problems)}")
    administrator.assign([name for name in permission_sets() if name.startswith("Fortnox_Integration")], user)


def _fresh_token(sandbox: Sandbox, flows: dict[str, Flow]) -> None:
    """The sandbox's clock moved on: our tokens would expire by it before ours says so."""
    from integrations.fields import conceal

    integration = flows[OUT].integration
    for row in (integration.crm_account, integration.ledger_account):
        conceal(row, "access_token", sandbox.control("POST", "token", {"system": row.system})["access_token"])
        row.save(update_fields=["access_token"])
