"""An org of the sandbox with our package in it, for tests of reading and writing over real HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from django.test import override_settings

from integrations.connector import Outcome, Write
from integrations.errors import SyncError
from integrations.http import Api, counting
from integrations.models import ConnectedAccount
from integrations.salesforce.client import Salesforce
from integrations.salesforce.components import permission_sets
from integrations.salesforce.deploy import Administrator
from integrations.salesforce.deploy_files import build_zip
from integrations.salesforce.described import clear_cache
from integrations.salesforce.read import Reader
from integrations.salesforce.schema import Objects
from integrations.salesforce.write import Writer
from tests.integrations.clients import connected, set_vendor
from tests.sandbox_process import SandboxProcess

KEY = "Fortnox_Key__c"
SMALL = ("--customers", "0", "--invoices", "0", "--accounts", "0", "--deals", "0")
PLAIN = {
    "state_country_picklists": True, "validation": [], "duplicates": [], "locks": [], "hidden_fields": [],
    "lock_rows": {}, "bulk_seconds": 0.0, "api_used": 0,
}  # fmt: skip


def _token(sandbox: SandboxProcess, number: int) -> dict[str, Any]:
    """A token for the org of this number: the first has one currency, the second several, and persons."""
    orgs = [entry for entry in sandbox.control("GET", "/accounts")["accounts"] if entry["system"] == "salesforce"]
    return sandbox.control("POST", "/token", {"system": "salesforce", "account": orgs[number]["account"]})


@override_settings(EXTRA_ALLOWED_HOSTS=["127.0.0.1"])
def deploy(sandbox: SandboxProcess, number: int = 0) -> None:
    """Our package, both parts, with its permission sets given to the integration's user."""
    answer = _token(sandbox, number)
    sandbox.control("POST", "/settings", {"salesforce": {answer["account"]: {"user_may_deploy": True}}})
    url = f"{sandbox.url}/salesforce"
    headers = {"Authorization": f"Bearer {answer['access_token']}"}
    user = requests.get(f"{url}/services/oauth2/userinfo", headers=headers, timeout=30).json()["user_id"]
    administrator = Administrator(url, answer["access_token"])
    username = administrator.username(user)
    archive = build_zip(
        ["base", "orders"], username=username, endpoint="https://ledger.example/in/x", site="https://ledger.example"
    )
    deployment = administrator.deploy(archive)
    while not (status := administrator.status(deployment)).done:
        pass
    assert status.success, list(status.problems)
    names = [name for name in permission_sets() if name.startswith("Fortnox_Integration")]
    assert administrator.assign(names, user) == []


class Org:
    """One org of the sandbox, as the product's halves speak to it and as its own people see it."""

    def __init__(self, sandbox: SandboxProcess, settings: Any, number: int = 0) -> None:
        settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
        set_vendor(settings, "salesforce", rate=(0, 1.0))
        clear_cache()
        self.sandbox = sandbox
        answer = _token(sandbox, number)
        self.id = str(answer["account"])
        self.set(**PLAIN, multi_currency=bool(number), person_accounts=bool(number))
        self.account: ConnectedAccount = connected(
            "salesforce",
            api_url=f"{sandbox.url}/salesforce",
            token=answer["access_token"],
            remote_id=self.id,
            details={"currency": "SEK", "multi_currency": bool(number), "person_accounts": bool(number)},
        )
        self.client = Salesforce(Api(self.account))
        self.objects = Objects(self.client)
        self.writer = Writer(self.client, self.objects, Reader(self.client, self.objects))

    def set(self, **values: Any) -> None:
        """Change the org's features, rules and locks."""
        self.sandbox.control("POST", "/settings", {"salesforce": {self.id: values}})

    def upsert(self, name: str, *writes: Write) -> list[Outcome]:
        """The outcomes of some writes, in order."""
        return list(self.writer.upsert(name, writes))

    def records(self, remote: str) -> list[dict[str, Any]]:
        """Everything of one object, raw, the recycle bin included."""
        answer = self.sandbox.control("GET", f"/state/salesforce/{self.id}/{remote}")
        found: list[dict[str, Any]] = answer["records"]
        return found

    def record(self, remote: str, key: str) -> dict[str, Any]:
        """One raw record."""
        return next(row for row in self.records(remote) if row["id"] == key)

    def make(self, remote: str, **fields: Any) -> str:
        """The id of a record that a salesperson makes."""
        answer = self.sandbox.control("POST", f"/records/salesforce/{self.id}/{remote}", {"fields": fields})
        return str(answer["record"]["id"])

    def edit(self, remote: str, key: str, **fields: Any) -> None:
        """What a salesperson does on a record's page."""
        self.sandbox.control("POST", f"/records/salesforce/{self.id}/{remote}/{key}", {"fields": fields})

    def merge(self, remote: str, winner: str, loser: str) -> None:
        """On the winner's page: the other one is merged into it."""
        page = f"{self.sandbox.url}/salesforce/ui/{self.id}/lightning/r/{remote}/{winner}/merge"
        requests.post(page, data={"other": loser}, timeout=30, allow_redirects=False).raise_for_status()

    def remove(self, remote: str, key: str) -> None:
        """Into the recycle bin."""
        self.sandbox.control("DELETE", f"/records/salesforce/{self.id}/{remote}/{key}")


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """The calls made inside, by kind."""
    seen: Counter[str] = Counter()
    with counting() as counted:
        yield seen
    for (_system, kind), count in counted.items():
        seen[kind] += count


def account(number: str, unique: str = "", **fields: Any) -> Write:
    """A customer on its way to an account."""
    given = {"Name": f"Kund {number} AB", **fields}
    return Write(key=number, fields=given, unique=(KEY, unique or f"1:{number}"))


def one(org: Org, name: str, write: Write) -> Outcome:
    (outcome,) = org.upsert(name, write)
    assert outcome.key == write.key
    return outcome


def failed(outcome: Outcome) -> tuple[type[SyncError], str, str, str]:
    error = outcome.error
    assert error is not None
    return type(error), error.code, error.field, error.value


def good(org: Org, number: str, **fields: Any) -> str:
    outcome = one(org, "account", account(number, **fields))
    assert outcome.error is None, outcome.error
    return outcome.id
