"""Chat: only public https hosts, no redirects, an address that is never shown, and messages that cannot mention."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.utils import timezone

from integrations.fields import conceal, reveal
from integrations.models import Membership, Organization
from sync.models import ChatChannel, Notice, NoticeDelivery
from sync.notices import chat, heal, tell
from sync.notices.outbox import SETTLED, announce, conclude, deliver
from tests import factories as make

pytestmark = pytest.mark.django_db


class Room(BaseHTTPRequestHandler):
    """A chat that keeps what is posted, and answers as it is told."""

    status, location = 200, ""
    posted: list[str] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).posted.append(json.loads(body)["text"])
        self.send_response(type(self).status)
        if type(self).location:
            self.send_header("Location", type(self).location)
        self.end_headers()
        self.wfile.write(b"internal details")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def room(settings: Any) -> Iterator[str]:
    """The address of a chat on this machine, allowed as in development."""
    Room.status, Room.location, Room.posted = 200, "", []
    server = HTTPServer(("127.0.0.1", 0), Room)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    settings.EXTRA_ALLOWED_HOSTS = [f"127.0.0.1:{server.server_port}"]
    yield f"http://127.0.0.1:{server.server_port}/hook/s3cr3t"
    server.shutdown()
    server.server_close()


def channel(organization: Organization, url: str) -> ChatChannel:
    row = ChatChannel(organization=organization, host="127.0.0.1")
    conceal(row, "url", url)
    row.save()
    return row


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x", "https://hooks.example.com:8443/x", "https://user:pw@hooks.example.com/x",
        "https://127.0.0.1/x", "https://[::1]/x", "https://10.1.2.3/", "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/", "https://localhost/x", "https://intranet/x", "ftp://example.com/x", "x", "",
        "https://example.com/\r\nHost: x", "https://[oops/", "https://0.0.0.0/",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_https_is_refused(url: str) -> None:
    with pytest.raises(chat.ChatRefused):
        chat.check(url)
    with mock.patch("socket.create_connection", side_effect=AssertionError), pytest.raises(chat.ChatRefused):
        chat.post(url, "text")


def test_a_name_that_resolves_to_an_inner_address_gets_no_byte(room: str, settings: Any) -> None:
    settings.EXTRA_ALLOWED_HOSTS = []
    port = int(room.rpartition(":")[2].partition("/")[0])
    import socket

    real = socket.create_connection
    inner = mock.patch("urllib3.util.connection.create_connection", lambda *a, **k: real(("127.0.0.1", port), 5))
    with inner, pytest.raises(chat.ChatRefused) as refused:
        chat.post("https://hooks.example.com/x", "text")
    assert "not public" in str(refused.value) and "127" not in str(refused.value)
    assert Room.posted == []


def test_redirects_and_refusals_are_told_without_the_answer(room: str) -> None:
    for status, word, permanent in ((302, "redirect", True), (404, "404", True), (500, "500", False)):
        Room.status, Room.location = status, "http://127.0.0.1:1/elsewhere" if status == 302 else ""
        with pytest.raises(chat.ChatRefused) as refused:
            chat.post(room, "text")
        assert word in str(refused.value) and refused.value.permanent is permanent
        assert "internal" not in str(refused.value) and "s3cr3t" not in str(refused.value)
    assert len(Room.posted) == 3, "each was asked once"


def test_a_chat_hears_of_the_trouble_and_of_its_end_in_its_language_and_nobody_can_mention(room: str) -> None:
    organization = make.make_organization()
    row = channel(organization, room)
    tell("connection_dead", organization, key="a", params={"account": "<!channel> & co", "reason": "gone"})
    tell("failures_waiting", organization, key="f", params={"flow": "x"})
    Notice.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
    announce()
    assert deliver() == 1
    (text,) = Room.posted
    assert "&lt;!channel&gt; &amp; co" in text and "<" not in text and "/admin/" in text
    heal("connection_dead", "a")
    Notice.objects.update(healed_at=timezone.now() - SETTLED)
    conclude()
    deliver()
    assert Room.posted[1].startswith("✓") and len(Room.posted) == 2
    row.refresh_from_db()
    assert row.sent_at is not None and row.error == "" and "s3cr3t" not in row.url


def test_a_chat_that_is_gone_is_given_up_and_one_that_is_away_is_tried_again(room: str) -> None:
    organization = make.make_organization()
    channel(organization, room)
    for number, (status, state) in enumerate(((503, "waiting"), (410, "failed"))):
        tell("connection_dead", organization, key=str(number), params={"account": "a", "reason": "b"})
        Notice.objects.update(opened_at=timezone.now() - timedelta(minutes=2))
        announce()
        Room.status = status
        deliver()
        delivery = NoticeDelivery.objects.get(notice__key=str(number))
        assert delivery.state == state and str(status) in delivery.error
    assert "Make a new webhook" in ChatChannel.objects.get().error


def test_an_owner_stores_tests_and_removes_a_chat_and_others_may_not(room: str) -> None:
    organization = make.make_organization()
    owner, viewer = (make.make_user(organization=organization, role=role) for role in ("owner", "viewer"))
    stranger = make.make_user(organization=make.make_organization(), role="owner")
    base = f"/admin/notices/settings/{organization.pk}/"
    for user, code in ((viewer, 403), (stranger, 404)):
        client = Client()
        client.force_login(user)
        for action in ("chat/", "chat/test/", "chat/remove/"):
            assert client.post(base + action, {"url": room, "language": "sv"}).status_code == code
            assert client.get(base + action).status_code == 405
    assert "webhook" not in viewer_page(viewer, base)
    client = Client()
    client.force_login(owner)
    refused = client.post(f"{base}chat/", {"url": "https://10.0.0.1/x", "language": "sv"})
    assert refused.status_code == 200 and b"inner network" in refused.content and not ChatChannel.objects.exists()
    assert client.post(f"{base}chat/", {"url": "", "language": "sv"}).status_code == 200
    assert client.post(f"{base}chat/", {"url": room, "language": "sv"}).status_code == 302
    stored = ChatChannel.objects.get()
    assert reveal(stored, "url") == room and stored.language == "sv"
    page = client.get(base).content.decode()
    assert "s3cr3t" not in page and "127.0.0.1" in page
    client.post(f"{base}chat/", {"url": "", "language": "en"})
    stored.refresh_from_db()
    assert reveal(stored, "url") == room and stored.language == "en", "an empty address keeps the stored one"
    client.post(f"{base}chat/test/")
    assert len(Room.posted) == 1 and str(organization) in Room.posted[0]
    client.post(f"{base}chat/remove/")
    assert not ChatChannel.objects.exists()
    Membership.objects.filter(user=owner).delete()
    assert client.get(base).status_code in (404, 302)


def viewer_page(user: Any, url: str) -> str:
    client = Client()
    client.force_login(user)
    return client.get(url).content.decode()
