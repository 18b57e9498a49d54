"""Messages: who gets which, once; storms, dead mail, people who left, things that heal."""

from __future__ import annotations

import smtplib
from datetime import datetime, timedelta
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.mail.backends import locmem
from django.utils import timezone

from integrations.models import Membership, Organization
from sync.models import Notice, NoticeDelivery, NoticePreference
from sync.notices import heal, tell
from sync.notices.digest import due_digests
from sync.notices.outbox import SETTLED, announce, conclude, deliver
from tests import factories as make

pytestmark = pytest.mark.django_db
ROLES = Membership.Role


def member(organization: Organization, role: str, **fields: Any) -> Any:
    user = make.make_user(organization=organization, role=role)
    user.email = fields.pop("email", f"{user.username}@example.test")
    user.save()
    if fields:
        NoticePreference.objects.create(user=user, organization=organization, **fields)
    return user


def dead(organization: Organization, key: str = "a") -> Notice:
    """A lost connection, noticed two minutes ago."""
    words = {"account": f"Ledger {key}", "reason": "invalid_grant"}
    notice = tell("connection_dead", organization, key=key, params=words)
    assert notice is not None
    Notice.objects.filter(pk=notice.pk).update(opened_at=timezone.now() - timedelta(minutes=2))
    return notice


def settled(kind: str, key: str) -> None:
    """It healed, long enough ago to be told."""
    assert heal(kind, key)
    Notice.objects.filter(kind=kind, key=key).update(healed_at=timezone.now() - SETTLED)
    conclude()


def to() -> list[str]:
    return sorted(address for message in mail.outbox for address in message.to)


def test_each_role_is_told_what_fits_it_unless_the_person_chose_otherwise() -> None:
    organization = make.make_organization()
    people = {role: member(organization, role) for role in ROLES.values}
    choosy = member(organization, ROLES.VIEWER, immediate=["connection", "work"], language="sv")
    silent = member(organization, ROLES.OWNER, immediate=[], digest="off")
    member(make.make_organization(), ROLES.OWNER)
    member(organization, ROLES.OWNER, email="")
    dead(organization)
    tell("guard_totals", organization, key="f", params={"flow": "Invoices", "count": "2", "record": "Deal 7"})
    tell("failures_waiting", organization, key="f", params={"flow": "Deals"})
    Notice.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
    assert announce() == 3
    assert deliver() == 4
    subjects = {message.to[0]: message.subject for message in mail.outbox}
    name = f"Ledgerbridge · {organization}"
    assert subjects == {
        people[ROLES.OWNER].email: f"{name}: 2 things need you",
        people[ROLES.CONSULTANT].email: f"{name}: 2 things need you",
        people[ROLES.ACCOUNTANT].email: f"{name}: Totals differ",
        choosy.email: f"{name}: 2 saker behöver dig",
    }
    assert silent.email not in subjects
    assert announce() == 0 and deliver() == 0 and len(mail.outbox) == 4


def test_a_message_says_record_cause_and_remedy_links_and_hides_secrets() -> None:
    organization = make.make_organization("Åkeri & Söner AB")
    member(organization, ROLES.OWNER)
    words = {
        "account": "Ledger <b>", "reason": "refresh_token=abcdef123456 of 850312-1234, org 556677-8899",
    }  # fmt: skip
    notice = tell("connection_dead", organization, key="a", params=words, obj=organization)
    Notice.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
    announce()
    deliver()
    (message,) = mail.outbox
    html = str(message.alternatives[0][0])
    for text in (str(message.body), html):
        assert "abcdef123456" not in text and "850312" not in text and "556677-8899" in text
        assert f"http://localhost:8000/admin/integrations/organization/{organization.pk}/change/" in text
        assert "reconnect" in text
    assert "Ledger <b>" in message.body and "Ledger &lt;b&gt;" in html and "&amp;" not in message.subject
    assert notice is not None and message.extra_headers["Message-ID"].endswith("@localhost>")


def test_what_heals_withdraws_itself_and_what_was_told_is_called_off() -> None:
    organization = make.make_organization()
    member(organization, ROLES.OWNER)
    dead(organization, "unsent")
    announce()
    settled("connection_dead", "unsent")
    assert deliver() == 0 and mail.outbox == []
    dead(organization, "sent")
    announce()
    deliver()
    settled("connection_dead", "sent")
    deliver()
    deliver()
    assert [message.subject.rpartition(": ")[2] for message in mail.outbox] == ["A connection is lost"] * 2
    assert "resolved" in mail.outbox[1].subject and "right again" in mail.outbox[1].body


def test_what_comes_back_before_its_end_was_told_is_the_same_trouble() -> None:
    organization = make.make_organization()
    member(organization, ROLES.OWNER)
    first = dead(organization)
    announce()
    assert heal("connection_dead", "a")
    assert deliver() == 0, "it is right at the moment"
    again = dead(organization)
    assert again.pk == first.pk
    assert deliver() == 1
    for _turn in range(5):
        heal("connection_dead", "a")
        conclude()
        dead(organization)
        announce()
        deliver()
    assert len(mail.outbox) == 1


def test_a_storm_is_one_message_with_a_count_and_later_ones_are_merged() -> None:
    organization = make.make_organization()
    user = member(organization, ROLES.OWNER)
    for number in range(60):
        dead(organization, str(number))
    announce()
    assert deliver() == 1
    (message,) = mail.outbox
    assert message.subject.endswith("60 things need you") and "and 50 more" in message.body
    assert message.body.count("Ledger ") == 10
    for number in range(100, 120):
        dead(organization, str(number))
        announce()
        deliver()
    assert len(mail.outbox) == 6, "no more than six in an hour"
    NoticeDelivery.objects.filter(state="sent").update(done_at=timezone.now() - timedelta(hours=2))
    NoticeDelivery.objects.filter(state="waiting").update(due_at=timezone.now())
    assert deliver() == 1 and mail.outbox[-1].subject.endswith("15 things need you")
    assert user.email == mail.outbox[-1].to[0]


def test_who_leaves_or_is_locked_out_or_changes_their_mind_gets_nothing_more() -> None:
    organization = make.make_organization()
    left, locked, changed, stays = (member(organization, ROLES.OWNER) for _n in range(4))
    dead(organization)
    announce()
    Membership.objects.filter(user=left).delete()
    type(locked).objects.filter(pk=locked.pk).update(is_active=False)
    NoticePreference.objects.create(user=changed, organization=organization, immediate=[])
    deliver()
    assert to() == [stays.email]
    assert NoticeDelivery.objects.filter(state="dropped").count() == 3


def test_a_mail_server_that_is_away_costs_one_attempt_and_nothing_is_lost() -> None:
    organization = make.make_organization()
    for _n in range(3):
        member(organization, ROLES.OWNER)
    dead(organization)
    announce()
    opened = mock.Mock(side_effect=ConnectionRefusedError)
    with mock.patch.object(locmem.EmailBackend, "open", opened):
        assert deliver() == 0
        assert opened.call_count == 1
        for _n in range(40):
            NoticeDelivery.objects.filter(state="waiting").update(due_at=timezone.now())
            deliver()
    assert NoticeDelivery.objects.filter(state="failed").count() == 3, "it gives up some day"
    NoticeDelivery.objects.update(state="waiting", attempts=0, due_at=timezone.now())
    deliver()
    assert len(mail.outbox) == 3


def test_a_refused_recipient_does_not_keep_the_others_from_their_mail() -> None:
    organization = make.make_organization()
    bad, good = member(organization, ROLES.OWNER), member(organization, ROLES.OWNER)
    dead(organization)
    announce()
    really = locmem.EmailBackend.send_messages

    def refuse(self: Any, messages: Any) -> Any:
        if messages[0].to == [bad.email]:
            raise smtplib.SMTPRecipientsRefused({bad.email: (550, b"no such user")})
        return really(self, messages)

    with mock.patch.object(locmem.EmailBackend, "send_messages", refuse):
        deliver()
    assert to() == [good.email]
    row = NoticeDelivery.objects.get(user=bad)
    assert (row.state, row.error) == ("failed", "recipient refused (550)")


def test_a_process_that_dies_while_sending_sends_again_with_the_same_id() -> None:
    organization = make.make_organization()
    member(organization, ROLES.OWNER)
    dead(organization)
    announce()
    with mock.patch("sync.notices.outbox._close", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        deliver()
    assert deliver() == 0, "it is claimed still"
    NoticeDelivery.objects.update(due_at=timezone.now())
    assert deliver() == 1
    assert len({message.extra_headers["Message-ID"] for message in mail.outbox}) == 1 and len(mail.outbox) == 2


def test_digests_come_once_at_their_hour_in_the_persons_language_without_what_healed() -> None:
    organization = make.make_organization()
    daily = member(organization, ROLES.SUPPORT, digest="daily", hour=7, language="sv")
    weekly = member(organization, ROLES.SUPPORT, digest="weekly", hour=7)
    member(organization, ROLES.SUPPORT, digest="off")
    member(organization, ROLES.SUPPORT, digest="daily", hour=16)
    for key in ("open", "healed"):
        tell(
            "failures_waiting", organization, key=key, params={"flow": key, "count": "1234", "record": "A", "code": "x"}
        )
    zone = ZoneInfo("Europe/Stockholm")
    tuesday, monday = datetime(2027, 1, 5, 7, 3, tzinfo=zone), datetime(2027, 1, 11, 7, 3, tzinfo=zone)
    assert due_digests(tuesday - timedelta(hours=1)) == 0
    due_digests(tuesday)
    due_digests(tuesday + timedelta(minutes=1))
    NoticeDelivery.objects.update(due_at=timezone.now())
    heal("failures_waiting", "healed")
    deliver()
    assert to() == [daily.email]
    body = str(mail.outbox[0].body)
    assert "open" in body and "healed" not in body and "1\xa0234" in body
    due_digests(monday)
    NoticeDelivery.objects.update(due_at=timezone.now())
    deliver()
    assert to() == sorted([daily.email, daily.email, weekly.email])
    heal("failures_waiting", "open")
    assert due_digests(tuesday + timedelta(days=1)) == 0


def test_planning_costs_the_same_for_one_notice_as_for_many(django_assert_num_queries: Any) -> None:
    organization = make.make_organization()
    for _n in range(3):
        member(organization, ROLES.OWNER)
    dead(organization)
    with django_assert_num_queries(8):
        announce()
    for number in range(15):
        dead(organization, str(number))
    with django_assert_num_queries(8):
        announce()
