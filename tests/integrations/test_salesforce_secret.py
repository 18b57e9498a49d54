"""An org renews the address and secret of its messages: an overlap, an end, who did it, nothing for anybody else."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import inbound_secret
from integrations.fields import reveal
from integrations.inbound_models import FormerSecret
from integrations.inbound_secret import secret_of
from integrations.models import ConnectedAccount, Membership
from integrations.salesforce.events import inbound_url
from tests.factories import make_account, make_user
from tests.integrations.test_salesforce_outbound import ORG, RECORD, message, notification

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account() -> ConnectedAccount:
    """A connected org whose messages have a secret."""
    row = make_account(system="salesforce", remote_id=ORG)
    secret_of(row)
    return row


@pytest.fixture
def owner(account: ConnectedAccount) -> Client:
    """The browser of the organization's owner."""
    return signed_in(account, Membership.Role.OWNER)


def signed_in(account: ConnectedAccount, role: str) -> Client:
    client = Client()
    client.force_login(make_user(role, organization=account.organization, role=role))
    return client


def url(name: str, account: ConnectedAccount) -> str:
    return reverse(f"admin:integrations_salesforce_{name}", args=[account.pk])


def renew(owner: Client, account: ConnectedAccount, hours: str = "24") -> Any:
    answer = owner.post(url("renew_secret", account), {"hours": hours}, follow=True)
    account.refresh_from_db()
    return answer


def says(account: ConnectedAccount, secret: str) -> int:
    """What an outbound message with this secret is answered."""
    address = f"/webhooks/salesforce/{account.pk}/{secret}"
    return int(Client().generic("POST", address, message(notification()), content_type="text/xml").status_code)


def called(account: ConnectedAccount, secret: str) -> int:
    """What a callout with this secret is answered."""
    body = json.dumps({"org_id": ORG, "object": "Opportunity", "record_id": RECORD})
    headers = {"X-Ledgerbridge-Secret": secret}
    address = f"/webhooks/salesforce/{account.pk}/callout"
    return int(Client().post(address, body, content_type="application/json", headers=headers).status_code)


def test_old_and_new_are_accepted_until_the_overlap_is_over(owner: Client, account: ConnectedAccount) -> None:
    old = secret_of(account)
    page = renew(owner, account).content.decode()
    new = secret_of(account)
    assert new != old and new in page and old not in page
    assert (says(account, old), says(account, new), called(account, old), called(account, new)) == (200, 200, 200, 200)
    FormerSecret.objects.update(valid_until=timezone.now() - timedelta(seconds=1))
    assert (says(account, old), called(account, old)) == (403, 403)
    assert (says(account, new), called(account, new)) == (200, 200)


@pytest.mark.parametrize("hours", [1, 24, 168])
def test_the_overlap_is_as_long_as_was_chosen(owner: Client, account: ConnectedAccount, hours: int) -> None:
    renew(owner, account, str(hours))
    former = FormerSecret.objects.get()
    assert former.valid_until - former.replaced_at == timedelta(hours=hours)


def test_an_old_one_is_ended_by_hand_and_is_not_kept(owner: Client, account: ConnectedAccount) -> None:
    old = secret_of(account)
    renew(owner, account)
    former = FormerSecret.objects.get()
    assert reveal(former, "secret") == old
    for said in ("are not accepted any more", "had ended already"):
        answer = owner.post(url("end_secret", account), {"former": str(former.pk)}, follow=True)
        assert said in answer.content.decode()
    former.refresh_from_db()
    assert former.secret == "" and former.state == "ended"
    assert (says(account, old), says(account, secret_of(account))) == (403, 200)


def test_the_page_says_which_one_the_org_sends_with(owner: Client, account: ConnectedAccount) -> None:
    old = secret_of(account)
    assert "Not used yet" in owner.get(url("secret", account)).content.decode()
    says(account, old)
    assert "Last used" in owner.get(url("secret", account)).content.decode()
    page = renew(owner, account).content.decode()
    assert "Not used yet: the org sends with an old one" in page and "what it sends would be refused" in page
    says(account, secret_of(account))
    page = owner.get(url("secret", account)).content.decode()
    assert re.search(r"Last used .{1,30} ago", page) and "with an old one" not in page and "be refused" not in page


def test_the_last_use_of_an_old_one_is_noted_and_of_a_refused_call_not(account: ConnectedAccount) -> None:
    old = secret_of(account)
    inbound_secret.renew(account, None, 24)
    says(account, "wrong")
    assert FormerSecret.objects.get().used_at is None
    says(account, old)
    noted = FormerSecret.objects.get().used_at
    assert noted is not None
    says(account, old)
    assert FormerSecret.objects.get().used_at == noted, "a flood costs one update a minute"
    FormerSecret.objects.update(used_at=noted - timedelta(minutes=2))
    says(account, old)
    assert FormerSecret.objects.get().used_at >= noted
    account.refresh_from_db()
    assert account.inbound_used_at is None


def test_who_renewed_and_who_ended_stands_in_the_history_without_any_secret(
    owner: Client, account: ConnectedAccount
) -> None:
    old = secret_of(account)
    renew(owner, account)
    owner.post(url("end_secret", account), {"former": str(FormerSecret.objects.get().pk)})
    page = owner.get(reverse("admin:integrations_connectedaccount_history", args=[account.pk])).content.decode()
    person = User.objects.get(username=Membership.Role.OWNER)
    kept = list(FormerSecret.history.values_list("history_type", "history_user"))
    assert kept == [("~", person.pk), ("+", person.pk)]
    assert page.lower().count("former secret") >= 2 and "ended by hand" in page.lower()
    assert old not in page and secret_of(account) not in page and "gcm1:" not in page


def test_more_than_five_at_once_are_refused_with_what_to_do(owner: Client, account: ConnectedAccount) -> None:
    for _ in range(inbound_secret.MOST):
        renew(owner, account)
    before = secret_of(account)
    assert "End one of them first" in renew(owner, account).content.decode()
    assert secret_of(account) == before and FormerSecret.objects.count() == inbound_secret.MOST


@pytest.mark.parametrize("hours", ["", "0", "9999", "x", "²"])
def test_another_overlap_is_none(owner: Client, account: ConnectedAccount, hours: str) -> None:
    before = secret_of(account)
    assert renew(owner, account, hours).status_code == 404
    assert secret_of(account) == before


def test_only_whoever_may_connect_renews_and_no_other_organization_sees_anything(
    owner: Client, account: ConnectedAccount
) -> None:
    renew(owner, account)
    former = FormerSecret.objects.get()
    other = make_account(system="salesforce", remote_id="00DFx0000004Sx2MAU")
    support, stranger = signed_in(account, Membership.Role.SUPPORT), Client()
    stranger.force_login(make_user("stranger", organization=other.organization, role=Membership.Role.OWNER))
    for client, status in ((support, 403), (stranger, 404)):
        assert client.get(url("secret", account)).status_code == status
        assert client.post(url("renew_secret", account), {"hours": "24"}).status_code == status
        assert client.post(url("end_secret", account), {"former": str(former.pk)}).status_code == status
    assert stranger.post(url("end_secret", other), {"former": str(former.pk)}).status_code == 404
    assert FormerSecret.objects.get().state == "valid"
    assert says(other, secret_of(account)) == 403, "a secret opens its own account only"


def test_a_get_renews_nothing(owner: Client, account: ConnectedAccount) -> None:
    assert owner.get(url("renew_secret", account)).status_code == 405
    assert owner.get(url("end_secret", account)).status_code == 405
    assert not FormerSecret.objects.exists()


def test_a_deployment_after_it_carries_the_new_address(account: ConnectedAccount) -> None:
    before = inbound_url(account)
    inbound_secret.renew(account, None, 24)
    assert inbound_url(account) != before and inbound_url(account).endswith(secret_of(account))


def test_a_former_secret_moves_to_a_new_key_with_the_rest() -> None:
    from integrations.management.commands.rotate_keys import encrypted_columns

    assert (FormerSecret, "secret") in set(encrypted_columns())
