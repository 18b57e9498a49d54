"""The libraries that everybody uses, unchanged but for the address, work against the Salesforce emulator over HTTP:
simple-salesforce from Python, jsforce from Node."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce as Library
from simple_salesforce import SalesforceMalformedRequest, SalesforceResourceNotFound, SFType
from simple_salesforce.login import SalesforceLogin
from werkzeug.serving import make_server

from sandbox.app import create_app

from .salesforce_orgs import Orgs, manifest, object_file, permission_set, text_field

JSFORCE = Path(__file__).parent / "jsforce"
KEY = "Account.Fortnox_Key__c"
FILES = {
    "package.xml": manifest(CustomField=[KEY], PermissionSet=["Fortnox"]),
    "objects/Account.object": object_file(
        text_field("Fortnox_Key__c", more="<externalId>true</externalId><unique>true</unique>")
    ),
    "permissionsets/Fortnox.permissionset": permission_set("Fortnox", KEY),
}


class PlainHttp(HTTPAdapter):
    """The library insists on https and on Salesforce's hosts; here they become the emulator's address."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._root = f"http://127.0.0.1:{port}"

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        url = str(request.url)
        url = url.replace("https://nordkraft.my.salesforce.com", f"{self._root}/salesforce/my/nordkraft")
        request.url = url.replace("https://127.0.0.1", "http://127.0.0.1")
        return super().send(request, *args, **more)


class Rooted:
    """The emulator's paths at the root of the host as well: jsforce's bulk calls leave out the path of an address."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/services/"):
            environ = environ | {key: f"/salesforce{environ[key]}" for key in ("PATH_INFO", "RAW_URI", "REQUEST_URI")}
        return self._app(environ, start_response)


class Served(Orgs):
    """The same world, on a port."""

    def __init__(self) -> None:
        super().__init__(accounts=12)
        self.server = make_server("127.0.0.1", 0, Rooted(create_app(self.world)), threaded=True)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.settings(bulk_seconds=0)
        self.session = requests.Session()
        self.session.mount("https://", PlainHttp(self.server.port))
        self.library = self.of(self.token)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}/salesforce"

    def of(self, token: str) -> Library:
        return Library(instance="nordkraft.my.salesforce.com", session_id=token, version="67.0", session=self.session)

    def install(self) -> None:
        """Our field, granted to the integration user."""
        assert self.deploy(FILES)["success"]
        permission = self.query("SELECT Id FROM PermissionSet WHERE Name = 'Fortnox'", token=self.admin)[0]["Id"]
        given = {"AssigneeId": self.main.integration, "PermissionSetId": permission}
        assert self.of(self.admin).PermissionSetAssignment.create(given)["success"]


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.shutdown()


def test_the_library_logs_in_with_client_credentials(served: Served) -> None:
    app = served.main.app
    token, instance = SalesforceLogin(
        domain="nordkraft.my", consumer_key=app.client_id, consumer_secret=app.client_secret, session=served.session
    )
    assert token.startswith(served.main.org.id[:15])
    assert instance.startswith("127.0.0.1")


def test_records_are_made_read_changed_and_deleted(served: Served) -> None:
    made = served.library.Account.create({"Name": "Exempelbolaget AB", "BillingCountry": "Sweden"})
    assert made == {"id": made["id"], "success": True, "errors": []}
    assert served.library.Account.update(made["id"], {"Phone": "08-1"}) == 204
    assert served.library.Account.get(made["id"])["Phone"] == "08-1"
    assert served.library.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        served.library.Account.get(made["id"])
    with pytest.raises(SalesforceMalformedRequest):
        served.library.Account.create({"Nmae": "x"})


def test_upserts_go_by_external_id(served: Served) -> None:
    served.install()
    account: SFType = served.library.Account
    first = account.upsert("Fortnox_Key__c/f1%2F1", {"Name": "Ett"}, raw_response=True)
    assert (first.status_code, first.json()["created"]) == (201, True)
    second = account.upsert("Fortnox_Key__c/f1%2F1", {"Name": "Två"}, raw_response=True)
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])
    account.upsert("Fortnox_Key__c/f1:2", {"Name": "Tre"})
    assert account.get_by_custom_id("Fortnox_Key__c", "F1:2")["Name"] == "Tre"


def test_query_all_walks_the_pages(served: Served) -> None:
    headers = {"Sforce-Query-Options": "batchSize=200"}
    records = [{"attributes": {"type": "Contact"}, "LastName": f"Person {n:03}"} for n in range(200)]
    for _ in range(2):
        served.library.restful("composite/sobjects", method="POST", json={"records": records})
    first = served.library.query("SELECT Id, LastName FROM Contact ORDER BY LastName", headers=headers)
    assert (first["done"], len(first["records"])) == (False, 200)
    everything = served.library.query_all("SELECT Id FROM Contact", headers=headers)
    assert len(everything["records"]) == everything["totalSize"] > 400
    assert served.library.query("SELECT COUNT() FROM Contact")["totalSize"] == everything["totalSize"]


def test_describes_and_limits_are_understood(served: Served) -> None:
    names = {entry["name"] for entry in served.library.describe()["sobjects"]}
    assert {"Account", "Opportunity", "Order", "Service_Order__c"} <= names
    described = served.library.Account.describe()
    assert next(f for f in described["fields"] if f["name"] == "Name")["nillable"] is False
    assert served.library.limits()["DailyApiRequests"]["Max"] == 115_000
    assert served.library.api_usage["api-usage"].total == 115_000


def test_changed_and_deleted_records_are_listed(served: Served) -> None:
    made = served.library.Account.create({"Name": "Nytt AB"})["id"]
    gone = served.library.Account.create({"Name": "Borta AB"})["id"]
    served.library.Account.delete(gone)
    end = datetime.now(UTC) + timedelta(minutes=2)
    served.world.clock.advance(180)
    assert made in served.library.Account.updated(end - timedelta(minutes=30), end)["ids"]
    deleted = served.library.Account.deleted(end - timedelta(minutes=30), end)["deletedRecords"]
    assert [entry["id"] for entry in deleted] == [gone]


def test_bulk_jobs_round_trip(served: Served) -> None:
    bulk = served.library.bulk2.Account
    results = bulk.insert(records=[{"Name": f"Bulk {n}"} for n in range(25)], wait=0)
    assert [(r["numberRecordsProcessed"], r["numberRecordsFailed"]) for r in results] == [(25, 0)]
    made = bulk.get_successful_records(results[0]["job_id"])
    assert made.count("\n") >= 25
    pages = list(bulk.query("SELECT Id, Name FROM Account WHERE Name LIKE 'Bulk %'", wait=0))
    assert sum(page.count("Bulk ") for page in pages) == 25


# -- jsforce


@pytest.fixture(scope="session")
def jsforce() -> Path:
    """Its modules, installed from the lock file when they are not there yet."""
    if shutil.which("npm") is None:
        pytest.skip("Node is missing")
    installed = JSFORCE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (JSFORCE / "package-lock.json").stat().st_mtime:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run(command, cwd=JSFORCE, check=True, timeout=300)
        installed.touch()
    return JSFORCE


def test_jsforce_connects_deploys_and_moves_records(served: Served, jsforce: Path, tmp_path: Path) -> None:
    from .salesforce_orgs import CALLBACK, zipped

    archive = tmp_path / "deploy.zip"
    archive.write_bytes(zipped(FILES))
    app = served.main.app
    environment = {
        **os.environ,
        "LOGIN_URL": served.url,
        "CLIENT_ID": app.client_id,
        "CLIENT_SECRET": app.client_secret,
        "CALLBACK": CALLBACK,
        "ADMIN": served.main.admin,
        "ARCHIVE": str(archive),
        "INTEGRATION": served.main.integration,
    }
    ran = subprocess.run(
        ["node", "round_trip.mjs"], cwd=jsforce, env=environment, capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.split() == ["connected", "deployed", "records", "composite", "bulk", "refreshed"]
