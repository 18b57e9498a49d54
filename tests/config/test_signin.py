"""Signing in: the second factor, the brake on guessing, the people of an organization, and losing one's place."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.signin.address import client_address
from integrations import people
from integrations.models import AuthenticatorApp, Membership
from tests import factories as make

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
LOGIN, HOME = "/admin/login/", "/admin/"
TOKEN, SET_UP = "/admin/two-factor/", "/admin/two-factor/set-up/"


def sign_in(client: Client, name: str, password: str = PASSWORD, address: str = "192.0.2.1", **headers: Any) -> Any:
    return client.post(LOGIN, {"username": name, "password": password}, REMOTE_ADDR=address, **headers)


def secret_of(page: str) -> tuple[str, bytes]:
    """The form's secret and the key that the page shows as text."""
    from base64 import b32decode

    key = re.search(r'lb-signin__secret">([A-Z2-7 ]+)<', page)
    sealed = re.search(r'name="secret" value="([^"]+)"', page)
    assert key and sealed
    return sealed[1], b32decode(key[1].replace(" ", ""))


def code(key: bytes, drift: int = 0) -> str:
    return f"{totp(key, drift=drift):06d}"


def enrolled(client: Client) -> tuple[bytes, list[str]]:
    """Enrols by the page, as a person does: the key and the backup codes."""
    sealed, key = secret_of(client.get(SET_UP).content.decode())
    page = client.post(SET_UP, {"secret": sealed, "code": code(key)}).content.decode()
    codes = re.findall(r"<li><code>(\w+)</code></li>", page)
    assert len(codes) == 10
    return key, codes


def later(key: bytes) -> str:
    """The code of the next half minute: the present one was used, and works once."""
    return code(key, drift=1)


# --- The second factor -----------------------------------------------------------------------------------------------


def test_a_person_enrols_and_from_then_on_shows_a_code_at_every_sign_in() -> None:
    user = make.make_user("anna", organization=make.make_organization())
    client = Client()
    assert sign_in(client, "anna")["Location"] == HOME
    page = client.get(SET_UP)
    assert not TOTPDevice.objects.exists() and "no-store" in page["Cache-Control"]
    assert 'src="data:image/svg+xml' in page.content.decode()
    sealed, key = secret_of(page.content.decode())
    wrong = client.post(SET_UP, {"secret": sealed, "code": "000000" if code(key) != "000000" else "000001"})
    assert wrong.status_code == 422 and not TOTPDevice.objects.exists()
    assert secret_of(wrong.content.decode())[1] == key
    _key, codes = enrolled(client)
    assert client.get(HOME).status_code == 200  # this session has shown it
    assert not StaticToken.objects.filter(token__in=codes).exists()

    other = Client()
    assert sign_in(other, "anna")["Location"] == HOME
    for address in (HOME, "/admin/sync/flow/", "/connect/fortnox/callback", SET_UP):
        assert other.get(address)["Location"].startswith(TOKEN), address
    assert other.post("/admin/integrations/organization/add/", {"name": "x"})["Location"] == TOKEN
    assert other.post(TOKEN, {"otp_token": "12 34 56"}).status_code == 422
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    answer = other.post(
        TOKEN, {"otp_token": later(AuthenticatorApp.objects.get().bin_key), "next": "/admin/sync/flow/"}
    )
    assert answer["Location"] == "/admin/sync/flow/"
    assert other.get(HOME).status_code == 200
    assert [line.object_id for line in LogEntry.objects.all()] == [str(user.pk)]


def test_a_code_works_once_a_backup_code_once_and_wrong_ones_slow_down() -> None:
    make.make_user("anna", organization=make.make_organization())
    client = Client()
    sign_in(client, "anna")
    key, codes = enrolled(client)

    def attempt(token: str) -> Any:
        fresh = Client()
        sign_in(fresh, "anna")
        return fresh.post(TOKEN, {"otp_token": token})

    assert attempt(code(key)).status_code == 422  # it enrolled already
    waits = attempt(later(key))
    assert waits.status_code == 422 and "Too many wrong codes. Wait 1 seconds" in waits.content.decode()
    assert attempt(codes[0].upper()).status_code == 302  # the app's brake does not hold the backup codes
    assert attempt(codes[0]).status_code == 422
    assert StaticToken.objects.count() == 9


def test_an_installation_may_demand_it_of_everybody(settings: Any) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    make.make_superuser("root")
    client = Client()
    assert sign_in(client, "root")["Location"] == HOME
    assert client.get("/admin/auth/user/")["Location"].startswith(f"{SET_UP}?next=")
    assert client.get("/webhooks/hubspot").status_code == 405  # what asks no session is not asked
    enrolled(client)
    assert client.get(HOME).status_code == 200


def test_a_secret_is_for_the_person_it_was_shown_to_and_a_foreign_address_is_no_way_on() -> None:
    organization = make.make_organization()
    anna, bo = Client(), Client()
    anna.force_login(make.make_user("anna", organization=organization))
    bo.force_login(make.make_user("bo", organization=organization))
    sealed, key = secret_of(anna.get(SET_UP).content.decode())
    assert bo.post(SET_UP, {"secret": sealed, "code": code(key)}).status_code == 422
    assert not TOTPDevice.objects.exists()
    page = anna.post(SET_UP, {"secret": sealed, "code": code(key), "next": "https://evil.example/"}).content.decode()
    assert "evil.example" not in page


def test_an_owner_resets_the_second_step_of_somebody_who_belongs_nowhere_else() -> None:
    organization = make.make_organization()
    owner = make.make_user("owner", organization=organization, role="owner")
    bo = make.make_user("bo", organization=organization)
    session = Client()
    sign_in(session, "bo")
    enrolled(session)
    client = Client()
    client.force_login(owner)
    url = reverse("admin:integrations_people_step", args=[organization.pk, bo.memberships.get().pk, "reset"])
    elsewhere = Membership.objects.create(organization=make.make_organization(), user=bo, role="viewer")
    client.post(url, {"confirmed": 1})
    assert TOTPDevice.objects.count() == 1  # the other organization's door is not the owner's to open
    elsewhere.delete()
    assert "make sure" in client.post(url).content.decode() and TOTPDevice.objects.exists()
    client.post(url, {"confirmed": 1})
    assert not TOTPDevice.objects.exists() and not StaticDevice.objects.exists()
    assert "owner" in LogEntry.objects.latest("pk").change_message
    assert session.get(HOME)["Location"].startswith(TOKEN)  # the session is not worth more than its lost proof
    assert "was reset" in session.get(TOKEN).content.decode()
    assert session.post(TOKEN)["Location"] == HOME
    assert session.get(HOME).status_code == 200


def test_no_page_of_the_admin_shows_devices_attempts_or_groups() -> None:
    client = Client()
    client.force_login(make.make_superuser())
    for room in ("otp_totp/totpdevice", "otp_static/staticdevice", "axes/accessattempt", "auth/group"):
        assert client.get(f"/admin/{room}/").status_code == 404


# --- The brake -------------------------------------------------------------------------------------------------------


@pytest.fixture
def brake(settings: Any) -> None:
    settings.AXES_ENABLED = True


@pytest.mark.usefixtures("brake")
def test_five_wrong_passwords_lock_this_name_at_this_address_for_a_quarter_of_an_hour() -> None:
    make.make_user("anna", organization=make.make_organization())
    client = Client()
    answers = [sign_in(client, "anna", f"wrong {number}") for number in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429]
    page = sign_in(client, "anna")  # even the right one, and it does not prolong the lock
    assert page.status_code == 429 and "15 minutes" in page.content.decode() and page["Retry-After"] == "900"
    assert "anna" not in page.content.decode()
    assert sign_in(Client(), "anna", address="192.0.2.2").status_code == 302
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert sign_in(client, "anna").status_code == 302
    assert sign_in(client, "anna", "wrong").status_code == 200


@pytest.mark.usefixtures("brake")
def test_one_password_on_many_names_and_many_machines_on_one_name_are_stopped() -> None:
    make.make_user("anna")
    answers = [sign_in(Client(), f"name{number}", "spring2026").status_code for number in range(20)]
    assert answers == [200] * 19 + [429]
    assert sign_in(Client(), "anna").status_code == 429  # from this address nobody for a while
    AccessAttempt.objects.all().delete()
    AccessAttempt.objects.bulk_create(
        AccessAttempt(username="anna", ip_address=f"198.51.100.{n}", user_agent="", failures_since_start=1)
        for n in range(49)
    )
    assert sign_in(Client(), "anna", "wrong", address="203.0.113.9").status_code == 429


@pytest.mark.usefixtures("brake")
def test_an_owner_unlocks_a_member_and_a_right_password_forgets_only_its_own_mistakes() -> None:
    organization = make.make_organization()
    owner = Client()
    owner.force_login(make.make_user("owner", organization=organization, role="owner"))
    anna = make.make_user("anna", organization=organization)
    for _again in range(5):
        sign_in(Client(), "anna", "wrong")
    sign_in(Client(), "owner", "wrong")
    assert sign_in(Client(), "anna").status_code == 429
    page = owner.get(reverse("admin:integrations_people", args=[organization.pk])).content.decode()
    assert page.count(">Unlock<") == 2
    owner.post(reverse("admin:integrations_people_step", args=[organization.pk, anna.memberships.get().pk, "unlock"]))
    assert sign_in(Client(), "anna").status_code == 302
    assert AccessAttempt.objects.get().username == "owner"


@pytest.mark.parametrize(
    ("proxies", "remote", "forwarded", "found"),
    [
        ([], "192.0.2.7", "198.51.100.1", "192.0.2.7"),
        (["10.0.0.4"], "10.0.0.4", "198.51.100.1", "198.51.100.1"),
        (["10.0.0.4"], "10.0.0.4", "203.0.113.5, 198.51.100.1", "198.51.100.1"),
        (["10.0.0.0/8"], "10.0.0.4", "198.51.100.1, 10.1.1.1", "198.51.100.1"),
        (["10.0.0.4"], "192.0.2.7", "198.51.100.1", "192.0.2.7"),
        (["10.0.0.4"], "10.0.0.4", "rubbish", "10.0.0.4"),
        (["10.0.0.4"], "10.0.0.4", "", "10.0.0.4"),
        (["unix"], "", "2001:db8::1", "2001:db8::1"),
        ([], "", "198.51.100.1", None),
    ],
)
def test_an_address_is_believed_as_far_as_our_own_proxies_go(
    settings: Any, proxies: list[str], remote: str, forwarded: str, found: str | None
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=remote, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == found


@pytest.mark.parametrize(
    ("proxies", "behind", "wrong"),
    [
        ([], False, ""), (["10.0.0.0/8", "unix"], True, ""), ([], True, "E032"), (["proxy"], True, "E030"),
        (["0.0.0.0/0"], True, "E031"),
    ],
)  # fmt: skip
def test_a_proxy_that_is_missing_wrong_or_everybody_is_refused(
    settings: Any, proxies: list[str], behind: bool, wrong: str
) -> None:
    settings.PRODUCTION, settings.TRUSTED_PROXIES = True, proxies
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if behind else None
    found = [error.id for error in run_checks() if error.id.startswith("ledgerbridge.E03")]
    assert found == ([f"ledgerbridge.{wrong}"] if wrong else [])


# --- People ----------------------------------------------------------------------------------------------------------


def test_an_owner_invites_somebody_who_chooses_a_password_and_works() -> None:
    organization = make.make_organization("Nordkraft")
    owner = Client()
    owner.force_login(make.make_user("owner", organization=organization, role="owner"))
    invite = reverse("admin:integrations_people_invite", args=[organization.pk])
    page = owner.post(invite, {"email": "Eva@kund.example", "name": "Eva Ek", "role": "accountant"}).content.decode()
    link = re.search(r"/admin/invitation/[^<]+", page)
    assert (
        link and link[0] not in owner.get(reverse("admin:integrations_people", args=[organization.pk])).content.decode()
    )
    eva = User.objects.get(email="Eva@kund.example")
    assert not eva.is_staff and not eva.has_usable_password()
    browser = Client()
    form = browser.get(link[0], follow=True)
    answer = browser.post(form.request["PATH_INFO"], {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert answer["Location"] == LOGIN
    assert sign_in(browser, "eva@kund.example")["Location"] == HOME
    assert browser.get(reverse("admin:sync_change_changelist")).status_code == 200
    assert "no longer works" in Client().get(link[0]).content.decode()
    again = owner.post(invite, {"email": "eva@kund.example", "role": "viewer"})
    assert again.status_code == 422 and Membership.objects.filter(user=eva).count() == 1


def test_who_is_no_owner_only_looks_and_strangers_find_nothing() -> None:
    organization = make.make_organization()
    row = make.make_user("bo", organization=organization).memberships.get()
    steps = [("role", {"role": "owner"}), ("remove", {}), ("reset", {}), ("unlock", {})]
    urls = [
        (reverse("admin:integrations_people_step", args=[organization.pk, row.pk, step]), data) for step, data in steps
    ]
    urls.append(
        (reverse("admin:integrations_people_invite", args=[organization.pk]), {"email": "x@y.example", "role": "owner"})
    )
    for role in ("viewer", "support", "consultant", "accountant"):
        client = Client()
        client.force_login(make.make_user(organization=organization, role=role))
        assert client.get(reverse("admin:integrations_people", args=[organization.pk])).status_code == 200
        assert {client.post(url, data).status_code for url, data in urls} == {403}
    stranger = Client()
    stranger.force_login(make.make_user(organization=make.make_organization(), role="owner"))
    assert {stranger.post(url, data).status_code for url, data in urls} == {404}
    # A membership of one organization under the address of another.
    mine = Membership.objects.filter(role="owner").get().organization
    assert stranger.post(reverse("admin:integrations_people_step", args=[mine.pk, row.pk, "remove"])).status_code == 404
    row.refresh_from_db()
    assert row.role == "consultant"


def test_an_organization_keeps_an_owner() -> None:
    organization = make.make_organization()
    owner = make.make_user("owner", organization=organization, role="owner")
    row = owner.memberships.get()
    with pytest.raises(ValueError, match="at least one owner"):
        people.remove(row)
    with pytest.raises(ValueError, match="at least one owner"):
        people.change_role(row, "viewer")
    make.make_user(organization=organization, role="owner")
    people.change_role(row, "viewer")
    people.remove(row)


def test_a_person_who_is_removed_in_mid_session_loses_everything_at_the_next_request() -> None:
    change = make.make_change()
    organization = change.integration.organization
    make.make_user("owner", organization=organization, role="owner")
    user = User.objects.create_user("eva", password=PASSWORD)  # nobody's staff: the membership alone lets her in
    row = Membership.objects.create(organization=organization, user=user, role="consultant")
    client = Client()
    sign_in(client, "eva")
    page = reverse("admin:sync_change_change", args=[change.pk])
    assert client.get(page).status_code == client.get(HOME).status_code == 200
    people.remove(row)
    assert client.get(HOME)["Location"].startswith(LOGIN)
    assert client.get(page)["Location"].startswith(LOGIN)
    answer = client.post(reverse("admin:sync_change_dismiss", args=[change.pk]), {"confirmed": 1, "reason": "x"})
    assert answer.status_code == 302 and answer["Location"].startswith(LOGIN)
    change.refresh_from_db()
    assert change.state == "held"
    assert sign_in(client, "eva").status_code == 200  # the form again, with the reason


def test_a_lower_role_counts_at_the_next_request() -> None:
    flow = make.make_flow()
    user = make.make_user(organization=flow.integration.organization, role="consultant")
    client = Client()
    client.force_login(user)
    url = reverse("admin:sync_flow_pause", args=[flow.pk])
    user.memberships.update(role="viewer")
    assert client.post(url).status_code == 403
    flow.refresh_from_db()
    assert flow.enabled
