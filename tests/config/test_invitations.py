"""Invitations: by e-mail and by link, once, in time, and worth nothing to whoever is no longer wanted."""

from __future__ import annotations

import re
import smtplib
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations import people, people_mail
from integrations.models import Membership, Organization
from tests import factories as make

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
EVA = "eva@kund.example"


@pytest.fixture
def organization() -> Organization:
    return make.make_organization("Nordkraft")


@pytest.fixture
def owner(organization: Organization) -> Client:
    client = Client()
    client.force_login(make.make_user("olle", organization=organization, role="owner"))
    return client


def invite(owner: Client, email: str = EVA, role: str = "accountant", **headers: Any) -> str:
    """The page that answers."""
    organization = Organization.objects.get(name="Nordkraft")
    url = reverse("admin:integrations_people_invite", args=[organization.pk])
    return owner.post(url, {"email": email, "name": "Eva Ek", "role": role}, **headers).content.decode()


def again(owner: Client, member: Membership) -> Any:
    url = reverse("admin:integrations_people_step", args=[member.organization_id, member.pk, "invite"])
    return owner.post(url, follow=True)


def link_in(text: str) -> str:
    found = re.search(r"/admin/invitation/[^<\s]+", text)
    assert found
    return found[0]


def accept(link: str) -> bool:
    """Whether a person who follows the link gets in with the password chosen there."""
    browser = Client()
    form = browser.get(link, follow=True)
    browser.post(form.request["PATH_INFO"], {"new_password1": PASSWORD, "new_password2": PASSWORD})
    return User.objects.get(email=EVA).check_password(PASSWORD)


def member() -> Membership:
    return Membership.objects.get(user__email=EVA)


# --- The mail ---------------------------------------------------------------------------------------------------------


def test_an_invitation_is_mailed_with_its_link_and_the_page_says_so(owner: Client) -> None:
    page = invite(owner)
    (message,) = mail.outbox
    assert message.to == [EVA] and message.subject == "Invitation to Nordkraft in Ledgerbridge"
    assert "olle invites you to Nordkraft in Ledgerbridge, as Accountant." in message.body
    assert link_in(str(message.body)) == link_in(page)
    assert f"It went to {EVA}." in page
    assert link_in(page) not in str(LogEntry.objects.values())
    assert accept(link_in(str(message.body)))


def test_it_speaks_the_language_of_who_invites(owner: Client) -> None:
    invite(owner, HTTP_ACCEPT_LANGUAGE="sv")
    assert "Ekonom" in mail.outbox[0].body


def test_a_name_with_a_line_break_or_an_entity_makes_no_header_and_no_html(owner: Client) -> None:
    Organization.objects.update(name="Nordkraft")
    organization = Organization.objects.get()
    row, path = people.invite(organization, EVA, "Eva", "viewer")
    organization.name = "Nord & <Kraft>\r\nBcc: all@kund.example"
    row.organization = organization
    assert people_mail.send(row, f"https://x{path}", User.objects.get(username="olle")) == people_mail.Mail.SENT
    assert "\n" not in mail.outbox[0].subject and mail.outbox[0].recipients() == [EVA]
    assert "Nord & <Kraft>" in mail.outbox[0].body


@pytest.mark.parametrize("failure", [smtplib.SMTPServerDisconnected("x"), TimeoutError(), ConnectionRefusedError()])
def test_a_mail_that_fails_loses_no_invitation(
    owner: Client, monkeypatch: pytest.MonkeyPatch, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Any, messages: Any) -> int:
        raise failure

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", broken)
    page = invite(owner)
    assert f"The mail to {EVA} could not be sent; the invitation holds." in page
    assert "/admin/invitation/" not in caplog.text
    assert accept(link_in(page))


def test_without_mail_the_page_says_that_none_was_sent(owner: Client, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    page = invite(owner)
    assert "this installation has none set up" in page and accept(link_in(page))
    assert not LogEntry.objects.exists()


def test_too_many_invitations_are_made_and_not_mailed(owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_mail, "PER_HOUR", 2)
    for number in range(2):
        invite(owner, f"person{number}@kund.example")
    page = invite(owner)
    assert "No mail was sent: too many invitations" in page and len(mail.outbox) == 2
    assert accept(link_in(page))
    LogEntry.objects.update(action_time=timezone.now() - timedelta(hours=2))
    invite(owner, "later@kund.example")
    assert len(mail.outbox) == 3


def test_one_person_is_mailed_three_times_a_day_whoever_invites(owner: Client, organization: Organization) -> None:
    invite(owner)
    other = Client()
    other.force_login(make.make_user("other", organization=organization, role="owner"))
    for client in (owner, other, owner, other):
        again(client, member())
    assert len(mail.outbox) == people_mail.PER_PERSON


def test_a_member_who_could_sign_in_before_is_mailed_no_link(owner: Client) -> None:
    User.objects.create_user("eva", email=EVA, password=PASSWORD)
    invite(owner)
    assert mail.outbox == [] and member().role == "accountant"


# --- What a link is worth ------------------------------------------------------------------------------------------


def test_a_new_invitation_takes_the_place_of_one_that_expired_or_was_lost(owner: Client, settings: Any) -> None:
    first = link_in(invite(owner))
    second = link_in(again(owner, member()).content.decode())
    assert first != second and not accept(first)
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "no longer works" in Client().get(second).content.decode() and not accept(second)
    settings.PASSWORD_RESET_TIMEOUT = 3 * 24 * 3600
    assert accept(second)
    page = again(owner, member()).content.decode()
    assert "has chosen a password already" in page and "/admin/invitation/" not in page


def test_a_link_works_once_also_in_a_page_that_was_open(owner: Client) -> None:
    link = link_in(invite(owner))
    early = Client()
    form = early.get(link, follow=True).request["PATH_INFO"]
    assert accept(link)
    other = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert "no longer works" in early.post(form, other).content.decode()
    assert User.objects.get(email=EVA).check_password(PASSWORD)


@pytest.mark.parametrize("how", ["removed", "switched off"])
def test_the_link_of_somebody_who_is_no_longer_wanted_opens_nothing(owner: Client, how: str) -> None:
    link = link_in(invite(owner))
    browser = Client()
    form = browser.get(link, follow=True).request["PATH_INFO"]
    if how == "removed":
        people.remove(member())
    else:
        User.objects.filter(email=EVA).update(is_active=False)
    chosen = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    assert "no longer works" in browser.post(form, chosen).content.decode()
    assert not accept(link)
    assert not User.objects.get(email=EVA).has_usable_password()


def test_somebody_who_was_removed_before_coming_is_invited_afresh(owner: Client) -> None:
    first = link_in(invite(owner))
    people.remove(member())
    second = link_in(invite(owner))
    assert not accept(first) and accept(second)


def test_no_link_is_made_for_somebody_whom_another_organization_waits_for(owner: Client) -> None:
    """Whoever has the link chooses the password, and with it the place in the other organization."""
    people.invite(make.make_organization("Annan"), EVA, "Eva", "owner")
    page = invite(owner)
    assert "/admin/invitation/" not in page and mail.outbox == []
    mine = Membership.objects.get(user__email=EVA, organization__name="Nordkraft")
    assert "also belongs elsewhere" in again(owner, mine).content.decode()


def test_a_new_invitation_is_offered_to_who_may_invite_and_for_who_never_came(
    owner: Client, organization: Organization
) -> None:
    invite(owner)
    make.make_user("bo", organization=organization)
    page = owner.get(reverse("admin:integrations_people", args=[organization.pk])).content.decode()
    assert page.count("New invitation") == 1
    viewer = Client()
    viewer.force_login(make.make_user("viewer", organization=organization, role="consultant"))
    assert again(viewer, member()).status_code == 403
    assert len(mail.outbox) == 1
