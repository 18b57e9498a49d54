"""Whoever loses a place, a role or the right to sign in, in the middle of their work: nothing goes on, anywhere."""

from __future__ import annotations

import re
from base64 import b32decode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from integrations import people
from integrations.cards import CardCaller
from integrations.models import Membership
from sync.cards import people as at_cards
from sync.cards import tickets
from tests import factories as make
from tests.config.walk_world import KEY, foreign_world
from tests.config.walking import OPEN_TO_ALL, signed_in, walk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet", "nobody_answers")]

PASSWORD = "correct horse battery"


def removed(row: Membership) -> None:
    people.remove(row)


def switched_off(row: Membership) -> None:
    User.objects.filter(pk=row.user_id).update(is_active=False)


def made_less(row: Membership) -> None:
    people.change_role(row, "viewer")


LOSSES = [removed, switched_off]


@pytest.fixture
def row() -> Membership:
    """A consultant of the known world, who is nobody's staff: the membership alone lets her in."""
    organization = foreign_world().organizations.get()
    eva = User.objects.create_user("eva", email="eva@kund.example", password=PASSWORD)
    return Membership.objects.create(organization=organization, user=eva, role="consultant")


@pytest.mark.parametrize("lose", LOSSES)
def test_no_address_and_no_action_answers_an_open_session_any_more(
    row: Membership, lose: Callable[[Membership], None]
) -> None:
    client = signed_in(row.user)
    assert client.get("/admin/").status_code == 200
    lose(row)
    wrong, asked = [], 0
    for step, outcome in walk(client):
        if not step.path.startswith(("/admin/", "/connect/")):
            continue
        asked += 1
        if outcome.shows or outcome.writes or (outcome.lets_in and step.name not in OPEN_TO_ALL):
            wrong.append(f"{step}: {outcome.status} {outcome.writes[:1]}")
    assert wrong == []
    assert asked > 700


@pytest.mark.parametrize("page", ["/admin/", f"/admin/sync/syncrun/{KEY}/change/", f"/admin/reconcile/{KEY}/"])
@pytest.mark.parametrize("lose", LOSSES)
def test_a_page_that_looks_again_by_itself_hears_nothing_more(
    row: Membership, lose: Callable[[Membership], None], page: str
) -> None:
    client = signed_in(row.user)
    opened = client.get(page)
    sign = re.search(r'name="lb-live" content="([^"]+)"', opened.content.decode())
    known = sign[1] if sign else "none"
    assert client.get(page, headers={"X-Live": known}).status_code in (200, 204)
    lose(row)
    answer = client.get(page, headers={"X-Live": known})
    assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
    assert "X-Live" not in answer


def test_a_page_of_one_organization_goes_quiet_while_the_person_works_on_in_another(row: Membership) -> None:
    Membership.objects.create(organization=make.make_organization(), user=row.user, role="owner")
    client = signed_in(row.user)
    page = f"/admin/sync/syncrun/{KEY}/change/"
    assert client.get(page, headers={"X-Live": "none"}).status_code == 200
    people.remove(row)
    answer = client.get(page, headers={"X-Live": "none"}, follow=True)
    assert "Hemlig" not in answer.content.decode() and "X-Live" not in answer.headers
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("lose", LOSSES)
def test_they_cannot_sign_in_again(row: Membership, lose: Callable[[Membership], None]) -> None:
    lose(row)
    answer = Client().post("/admin/login/", {"username": "eva", "password": PASSWORD})
    assert answer.status_code == 200 and "sessionid" not in answer.cookies


@pytest.mark.parametrize("lose", [*LOSSES, made_less])
def test_a_card_that_is_open_gives_no_right_of_a_member_any_more(
    row: Membership, lose: Callable[[Membership], None]
) -> None:
    account = row.organization.accounts.get(system="salesforce")
    bearer = tickets.bearer_for(CardCaller(account, "005", row.user.email, "deal", "1"))

    def caller() -> CardCaller:
        return tickets.caller_of(bearer)

    assert at_cards.editor(caller()) == at_cards.crediting(caller()) == row.user
    lose(row)
    assert at_cards.editor(caller()) is None and at_cards.crediting(caller()) is None


def test_a_role_counts_at_the_next_press_of_a_button_that_was_shown_before(row: Membership) -> None:
    client = signed_in(row.user)
    pause, invite = (
        reverse("admin:sync_flow_pause", args=[KEY]),
        f"/admin/integrations/organization/{KEY}/people/invite/",
    )
    assert client.get(f"/admin/sync/flow/{KEY}/change/").status_code == 200
    people.change_role(row, "accountant")
    assert client.post(pause, {"confirmed": 1}).status_code == 403
    people.change_role(row, "owner")
    assert client.post(invite, {"email": "ny@kund.example", "role": "viewer"}).status_code == 200
    people.change_role(row, "consultant")
    assert client.post(invite, {"email": "nyare@kund.example", "role": "owner"}).status_code == 403
    assert not User.objects.filter(email="nyare@kund.example").exists()


def test_somebody_who_removes_themselves_is_out_with_the_answer(row: Membership) -> None:
    people.change_role(row, "owner")
    client = signed_in(row.user)
    url = reverse("admin:integrations_people_step", args=[row.organization_id, row.pk, "remove"])
    assert client.post(url, {"confirmed": 1}, follow=True).redirect_chain[-1][0].startswith("/admin/login/")
    assert client.post(url, {"confirmed": 1})["Location"].startswith("/admin/login/")


def test_a_session_that_lacks_the_second_step_enrols_none_after_its_person_was_removed(
    row: Membership, settings: Any
) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    client = signed_in(row.user)
    page = client.get("/admin/two-factor/set-up/").content.decode()
    people.remove(row)
    secret = re.search(r'name="secret" value="([^"]+)"', page)
    text = re.search(r'lb-signin__secret">([A-Z2-7 ]+)<', page)
    assert secret and text
    code = f"{totp(b32decode(text[1].replace(' ', ''))):06d}"
    for answer in (
        client.get("/admin/two-factor/set-up/"),
        client.post("/admin/two-factor/set-up/", {"secret": secret[1], "code": code}),
        client.get("/admin/two-factor/"),
    ):
        assert answer["Location"].startswith("/admin/login/")
    assert not TOTPDevice.objects.exists()
