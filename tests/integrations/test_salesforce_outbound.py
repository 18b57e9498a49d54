"""Outbound messages: stored before they are acknowledged, once, for the connection whose secret the address holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

import pytest
from defusedxml.ElementTree import fromstring
from django.db import OperationalError
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from integrations import inbox
from integrations.inbound_secret import secret_of
from integrations.inbox_models import RefusedCall
from integrations.models import ConnectedAccount, CustomSource, InboundEvent
from integrations.salesforce import outbound
from integrations.salesforce.events import inbound_url
from integrations.salesforce.ids import to18
from tests.factories import make_account

ORG = "00DFx0000004Sx1MAE"
RECORD = "006Fx00000QrStUIAV"
Post = Callable[..., Any]
ENVELOPE, OUTBOUND = "http://schemas.xmlsoap.org/soap/envelope/", "http://soap.sforce.com/2005/09/outbound"
RECORDS = "urn:sobject.enterprise.soap.sforce.com"


def notification(number: int = 1, record: str = RECORD, kind: str = "Opportunity", fields: str = "") -> str:
    """One notification; its id follows from the number."""
    key = to18(f"04lFx{number:010d}")
    return (
        f"<Notification><Id>{key}</Id>"
        f'<sObject xsi:type="sf:{kind}" xmlns:sf="{RECORDS}"><sf:Id>{record}</sf:Id>{fields}</sObject></Notification>'
    )


def message(*notifications: str, org: str = ORG, envelope: str = ENVELOPE, namespace: str = OUTBOUND) -> bytes:
    """A message as Salesforce sends it."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<soapenv:Envelope xmlns:soapenv="{envelope}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        f'<notifications xmlns="{namespace}"><OrganizationId>{org}</OrganizationId>'
        '<ActionId>04kFx00000YyZzAIAV</ActionId><SessionId xsi:nil="true"/>'
        "<EnterpriseUrl>https://evil.example/services/Soap/c/67.0</EnterpriseUrl>"
        "<PartnerUrl>https://evil.example/services/Soap/u/67.0</PartnerUrl>"
        f"{''.join(notifications)}</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


@pytest.fixture
def account(db: None) -> ConnectedAccount:
    """A connected org."""
    return make_account(system="salesforce", remote_id=ORG)


@pytest.fixture
def post(account: ConnectedAccount) -> Post:
    """Deliver a body as Salesforce does."""
    secret = secret_of(account)

    def deliver(body: bytes, *, to: str = "", secret: str = secret, **extra: Any) -> Any:
        address = f"/webhooks/salesforce/{to or account.pk}/{secret}"
        client = Client(enforce_csrf_checks=True)
        return client.generic("POST", address, body, content_type="text/xml; charset=UTF-8", **extra)

    return deliver


def stored() -> set[tuple[str, str]]:
    """(object, record id) of every stored event."""
    return set(InboundEvent.objects.values_list("object", "record_id"))


def reasons() -> dict[str, int]:
    """What was refused, by reason."""
    return dict(RefusedCall.objects.values_list("reason", "count"))


# --- What is accepted -------------------------------------------------------------------------------------------


def test_a_message_is_acknowledged_in_salesforces_words_and_stored(post: Post, account: ConnectedAccount) -> None:
    answer = post(message(notification()))
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/xml; charset=UTF-8")
    root = fromstring(answer.content)
    ack = root.find(f"{{{ENVELOPE}}}Body/{{{OUTBOUND}}}notificationsResponse/{{{OUTBOUND}}}Ack")
    assert root.tag == f"{{{ENVELOPE}}}Envelope" and ack is not None and ack.text == "true"
    event = InboundEvent.objects.get()
    assert (event.account_id, event.object, event.record_id) == (account.pk, "opportunity", RECORD)
    assert event.dedupe_key == to18("04lFx0000000001")


def test_the_org_may_be_named_with_15_characters_and_a_hundred_records_get_one_ack(post: Post) -> None:
    many = [notification(n, to18(f"006Fx{n:010d}")) for n in range(100)]
    answer = post(message(*many, org=ORG[:15]))
    assert answer.content.count(b"<Ack>") == 1
    assert len(stored()) == 100


def test_ids_of_15_characters_are_kept_with_18(post: Post) -> None:
    post(message(notification(record=RECORD[:15])))
    assert stored() == {("opportunity", RECORD)}


@pytest.mark.parametrize(
    ("kind", "ours"),
    [
        ("Account", "account"),
        ("Contact", "contact"),
        ("Order", "order"),
        ("Product2", "product"),
        ("OpportunityLineItem", "opportunity_line"),
        ("OrderItem", "order_line"),
        ("Job__c", "job"),
    ],
)
def test_objects_have_our_names(post: Post, account: ConnectedAccount, kind: str, ours: str) -> None:
    CustomSource.objects.create(account=account, name="job", label="Job", remote_object="Job__c")
    assert post(message(notification(kind=kind))).status_code == 200
    assert stored() == {(ours, RECORD)}


def test_objects_that_no_flow_reads_are_acknowledged_and_counted(post: Post) -> None:
    answer = post(message(notification(1, kind="Case"), notification(2)))
    assert answer.status_code == 200 and b"<Ack>true</Ack>" in answer.content
    assert stored() == {("opportunity", RECORD)}
    assert reasons() == {"unread Case": 1}


def test_a_repeated_notification_is_stored_once_in_whatever_batch_and_order(post: Post) -> None:
    first, second = notification(1), notification(2, to18("006Fx0000000002"))
    for batch in ((first, second), (second,), (second, first), (first, first)):
        assert post(message(*batch)).status_code == 200
    assert InboundEvent.objects.count() == 2


def test_only_the_connection_that_the_address_names_gets_the_event(post: Post, account: ConnectedAccount) -> None:
    make_account(system="salesforce", remote_id=ORG)  # another organization connected the same org
    post(message(notification()))
    assert InboundEvent.objects.get().account_id == account.pk


def test_nothing_of_the_record_but_its_id_is_kept(post: Post) -> None:
    fields = "<sf:Name>Secret deal</sf:Name><sf:AccountId>001Fx00000AbCdEIAV</sf:AccountId>"
    post(message(notification(fields=fields)))
    assert "Secret deal" not in str(InboundEvent.objects.values().get())


def test_the_bell_rings_after_the_commit(post: Post, django_capture_on_commit_callbacks: Any) -> None:
    rung: list[int] = []

    def ring() -> None:
        rung.append(InboundEvent.objects.count())

    inbox.on_stored(ring)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            post(message(notification()))
    finally:
        inbox._on_stored.remove(ring)
    assert rung == [1]


def test_what_could_not_be_stored_is_not_acknowledged(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> int:
        raise OperationalError("database is locked")

    monkeypatch.setattr(outbound.inbox, "store", broken)
    answer = post(message(notification()))
    assert answer.status_code == 500 and b"<Ack>false</Ack>" in answer.content
    assert b"<Ack>true" not in answer.content and b"locked" not in answer.content


# --- What is refused --------------------------------------------------------------------------------------------

_LEVELS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
BOMB = f'<!DOCTYPE b [<!ENTITY a0 "aaaaaaaaaa">{_LEVELS}]><b>&a9;</b>'.encode()
EXTERNAL = b'<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]><b>&x;</b>'
PARAMETER = b'<!DOCTYPE b SYSTEM "http://evil.example/x.dtd"><b/>'
GOOD = message(notification())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BOMB, "not_xml"),
        (EXTERNAL, "not_xml"),
        (PARAMETER, "not_xml"),
        (GOOD.replace(b"?>\n", b'?>\n<!DOCTYPE x [<!ENTITY e "1">]>', 1), "not_xml"),
        (b"", "not_xml"),
        (b"hello", "not_xml"),
        (GOOD[:-20], "not_xml"),
        (b'{"org_id": 1}', "not_xml"),
        (message(notification(fields="<sf:Name>\xe9</sf:Name>")).replace(b"\xc3\xa9", b"\xe9"), "not_xml"),
        (GOOD.decode().replace("UTF-8", "UTF-16", 1).encode("utf-16"), "not_xml"),
        (message(notification(fields="<sf:a>" * 30 + "</sf:a>" * 30)), "not_xml"),
        (b"<a>" * 100_000, "not_xml"),
        (b"<x/>", "not_a_message"),
        (message(), "not_a_message"),
        (message(notification(), envelope="http://www.w3.org/2003/05/soap-envelope"), "not_a_message"),
        (message(notification(), namespace="http://soap.sforce.com/2006/04/outbound"), "not_a_message"),
        (message(*[notification(n) for n in range(101)]), "too_many_notifications"),
        (message(notification(), org="00DFx0000004Sx2MAE"), "wrong_org"),
        (message(notification(), org=to18("00DFx0000009999")), "wrong_org"),
        (message(notification(), org=ORG.lower()), "wrong_org"),
        (message(notification(), org=""), "wrong_org"),
        (message(notification(), org=f"{ORG}</OrganizationId><OrganizationId>{ORG}"), "wrong_org"),
        (message(notification(record="006")), "malformed_notification"),
        (message(notification(record="")), "malformed_notification"),
        (message(notification(record=f"{RECORD}' OR Id != '")), "malformed_notification"),
        (message(notification(fields=f"<sf:Id>{RECORD}</sf:Id>")), "malformed_notification"),
        (message(notification(kind="Opp'ortunity")), "malformed_notification"),
        (message(notification(kind="")), "malformed_notification"),
        (message(notification()).replace(b"04lFx", b"04kFx"), "malformed_notification"),
        (message(notification()).replace(RECORDS.encode(), b"urn:other"), "malformed_notification"),
        (message(notification(), "<Notification><Id>x</Id></Notification>"), "malformed_notification"),
    ],
)
def test_what_is_no_message_of_the_org_is_refused_without_a_word(post: Post, body: bytes, reason: str) -> None:
    started = time.thread_time()
    answer = post(body)
    assert time.thread_time() - started < 6  # a bomb would take minutes
    assert answer.status_code in (400, 403) and answer.content == b""
    assert not stored()
    assert reasons() == {reason: 1}


def test_more_than_a_megabyte_is_refused_before_it_is_read(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "parse", lambda body: pytest.fail("it was read"))
    answer = post(message(notification(fields=f"<sf:Name>{'x' * 1_000_001}</sf:Name>")))
    assert (answer.status_code, answer.content) == (413, b"")
    assert reasons() == {"too_large": 1}


def test_another_connections_secret_a_wrong_one_and_no_connection_are_refused_alike(
    post: Post, account: ConnectedAccount
) -> None:
    other = make_account(system="salesforce", remote_id="00DFx0000004Sx2MAU")
    portal = make_account(system="hubspot")
    bare = make_account(system="salesforce", remote_id=ORG)  # never asked for its address: it has no secret
    right = secret_of(account)
    answers = [
        post(GOOD, secret=secret_of(other)),
        post(GOOD, secret=right[:-1]),
        post(GOOD, secret=right + "x"),
        post(GOOD, secret="å"),
        post(GOOD, to=str(other.pk)),
        post(GOOD, to=str(portal.pk)),
        post(GOOD, to=str(bare.pk)),
        post(GOOD, to="00000000-0000-4000-8000-000000000000"),
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(403, b"")}
    assert not stored() and reasons() == {"wrong_secret": len(answers)}


def test_a_disconnected_org_is_not_heard(post: Post, account: ConnectedAccount) -> None:
    account.status = ConnectedAccount.Status.DISCONNECTED
    account.save()
    assert post(GOOD).status_code == 403 and not stored()


def test_only_posts_are_answered(account: ConnectedAccount) -> None:
    path = inbound_url(account).partition("/webhooks")[2]
    assert Client().get(f"/webhooks{path}").status_code == 405


def test_the_secret_is_made_once_and_never_logged(
    post: Post, account: ConnectedAccount, caplog: pytest.LogCaptureFixture
) -> None:
    from integrations.redaction import RedactionFilter

    same = ConnectedAccount.objects.get(pk=account.pk)
    assert secret_of(same) == secret_of(account) and inbound_url(account).endswith(secret_of(account))
    stale = ConnectedAccount(pk=account.pk, system="salesforce")  # read before the secret was made
    assert secret_of(stale) == secret_of(account)
    with caplog.at_level(logging.DEBUG):
        post(message(notification(), org=""))
        Client().get(inbound_url(account).partition("example")[2] or f"/webhooks/salesforce/{account.pk}/x")
    for record in caplog.records:
        RedactionFilter().filter(record)
    assert caplog.records and secret_of(account) not in " ".join(record.getMessage() for record in caplog.records)


# --- Whatever comes ---------------------------------------------------------------------------------------------

_TEXT = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=40).map(escape)
_PARTS = st.fixed_dictionaries(
    {"org": st.one_of(st.just(ORG), _TEXT), "record": st.one_of(st.just(RECORD), _TEXT),
     "kind": st.sampled_from(["Opportunity", "Case", "", "a:b"]), "fields": st.one_of(st.just(""), _TEXT)}
)  # fmt: skip


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(parts=_PARTS, cut=st.integers(0, 1_500), noise=st.binary(max_size=8))
def test_whatever_comes_is_acknowledged_or_refused_and_what_is_refused_stores_nothing(
    post: Post, parts: dict[str, str], cut: int, noise: bytes
) -> None:
    InboundEvent.objects.all().delete()
    body = message(notification(record=parts["record"], kind=parts["kind"], fields=parts["fields"]), org=parts["org"])
    body = body if cut > len(body) else body[:cut] + noise + body[cut:]
    answer = post(body)
    assert answer.status_code in (200, 400, 403)
    if answer.status_code != 200:
        assert answer.content == b"" and not stored()
    else:
        assert stored() <= {("opportunity", RECORD)}
