"""An org of the sandbox and a consultant who connects it, for the tests of signing in to Salesforce."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from integrations.models import ConnectedAccount
from integrations.salesforce import setup_page
from tests.integrations.consent import Consultant, Remote, new_row

Grant = ConnectedAccount.Grant
MY_DOMAINS = ("nordkraft", "fjallverk")


class Org:
    """One org as its administrator sees it."""

    def __init__(self, remote: Remote, index: int = 0) -> None:
        self.remote, self.index = remote, index
        found = remote.accounts["salesforce"][index]
        self.id: str = found["account"]
        self.client_id: str = found["client_id"]
        self.client_secret: str = found["client_secret"]
        self.address = f"{found['base_url']}/my/{MY_DOMAINS[index]}"

    def decide(self, **policies: Any) -> None:
        """The administrator changes the app's policies, or the org's features."""
        self.remote.process.control("POST", "/settings", {"salesforce": {self.id: policies}})

    def entered(self, grant: str = Grant.CODE, **fields: str) -> dict[str, str]:
        """What is typed into the form."""
        return {
            "grant": grant,
            "place": "my_domain",
            "address": self.address,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "username": "",
            "currency": "SEK",
            **fields,
        }

    def users(self) -> list[dict[str, Any]]:
        """The org's users, raw."""
        rows: list[dict[str, Any]] = self.remote.process.control("GET", f"/state/salesforce/{self.id}/User")["records"]
        return rows

    def user(self, begins: str) -> str:
        """The id of the user whose user name begins so."""
        return next(str(row["Id"]) for row in self.users() if str(row["Username"]).startswith(begins))


def app_url(account: ConnectedAccount) -> str:
    return reverse("admin:integrations_salesforce_app", args=[account.pk])


def row(consultant: Consultant) -> ConnectedAccount:
    """A row that was begun."""
    account = new_row(consultant.organization, "salesforce")
    setup_page.prepare(account)
    return account


def connected(
    remote: Remote, consultant: Consultant, org: Org, grant: str = Grant.CODE, **fields: str
) -> ConnectedAccount:
    """The whole way: the form, the consent where there is one, and the row that holds the tokens."""
    account = row(consultant)
    answer = consultant.browser.post(app_url(account), org.entered(grant, **fields))
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    if grant == Grant.CODE:
        answer = consultant.arrive(remote.decide(answer["Location"], account=org.id))
        assert answer.status_code == 302, answer.content.decode()[-3000:]
    return consultant.organization.accounts.get(system="salesforce", remote_id=org.id)
