"""The pages: own rows only, constant queries, every text in the reader's language."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from sync.models import Notice, NoticePreference
from sync.notices import heal, tell
from sync.notices.kinds import KINDS
from sync.notices.words import language, words
from tests import factories as make

pytestmark = pytest.mark.django_db


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_the_list_shows_the_own_open_notices_and_filters_with_constant_queries(
    django_assert_max_num_queries: Any,
) -> None:
    mine, other = make.make_organization("Mine AB"), make.make_organization("Other AB")
    client = signed_in(make.make_user(organization=mine, role="viewer"))
    assert b"Nothing is wrong" in client.get("/admin/notices/").content
    for number in range(60):
        tell("connection_dead", mine, key=str(number), params={"account": f"<b>{number}", "reason": "gone"})
    tell("failures_waiting", mine, key="f", params={"flow": "Deals", "count": "3", "record": "A", "code": "x"})
    tell("connection_dead", other, key="a", params={"account": "Secret AB", "reason": "gone"})
    tell("queue_stuck", None, key="bulk", params={"queue": "bulk", "count": "4", "since": timezone.now().isoformat()})
    with django_assert_max_num_queries(12):
        page = client.get("/admin/notices/").content.decode()
    assert "Secret AB" not in page and "&lt;b&gt;59" in page and "The queue does not drain" in page
    assert "after=" in page and "<b>59" not in page
    older = client.get(f"/admin/notices/?after={Notice.objects.order_by('pk')[3].pk}").content.decode()
    assert "&lt;b&gt;2 " in older and "&lt;b&gt;59" not in older
    only = client.get("/admin/notices/?group=work").content.decode()
    assert "Deals" in only and "&lt;b&gt;" not in only
    heal("failures_waiting", "f")
    assert "Deals" not in client.get("/admin/notices/?group=work").content.decode()
    assert "Deals" in client.get("/admin/notices/?state=past").content.decode()
    for bad in ("kind=nonsense", f"organization={other.pk}", "state=x", "group=%00"):
        assert client.get(f"/admin/notices/?{bad}").status_code == 404
    assert client.get("/admin/notices/?after=9999999999999999999999").status_code == 200
    assert client.post("/admin/notices/").status_code == 405


def test_everybody_edits_the_own_wishes_only() -> None:
    mine, other = make.make_organization(), make.make_organization()
    user = make.make_user(organization=mine, role="viewer")
    client = signed_in(user)
    address = f"/admin/notices/settings/{mine.pk}/"
    assert client.get("/admin/notices/settings/").headers["Location"] == address
    assert b"no e-mail address" in client.get(address).content
    assert not NoticePreference.objects.exists(), "nothing is written on GET"
    chosen = {"immediate": ["proof", "guard"], "digest": "weekly", "hour": "16", "language": "sv"}
    assert client.post(address, chosen).status_code == 302
    client.post(address, chosen | {"hour": "5", "user": "1", "organization": str(other.pk)})
    row = NoticePreference.objects.get()
    assert (row.user, row.organization, row.immediate, row.hour) == (user, mine, ["proof", "guard"], 5)
    for bad in ({"hour": "99"}, {"immediate": ["x"]}, {"digest": "x"}, {"language": "xx"}):
        assert client.post(address, chosen | bad).status_code == 200
    for pk in (other.pk, 0, 999999):
        assert client.get(f"/admin/notices/settings/{pk}/").status_code == 404
        assert client.post(f"/admin/notices/settings/{pk}/", chosen).status_code == 404
    assert NoticePreference.objects.count() == 1
    master = signed_in(make.make_superuser())
    assert master.post("/admin/notices/settings/0/", chosen).status_code == 302
    assert NoticePreference.objects.filter(organization=None).count() == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words_in_every_language_without_an_open_place(kind: str) -> None:
    params = {
        "account": "A", "reason": "r", "reason_en": "r", "flow": "F", "count": "1234", "record": "R", "code": "2001302",
        "field": "f", "integration": "I", "what": "w", "systems": "fortnox,hubspot", "queue": "q", "system": "S",
        "since": timezone.now().isoformat(), "date": timezone.now().isoformat(), "minutes": "30", "run": "#1",
        "state": "planning", "error": "e", "source": "s", "starts": "2026-01-01", "ends": "2026-01-31",
    }  # fmt: skip
    notice = Notice(kind=kind, key="k", params=params, level="digest")
    for code in ("en", "sv", "xx"):
        with language(code):
            told = words(notice)
            for text in (told.headline, told.cause, told.remedy):
                assert text and "{" not in text and "–" not in text, text
    notice.params = {}
    assert words(notice).cause


@pytest.mark.parametrize("kind", [name for name, row in KINDS.items() if "{count}" in str(row.cause % {"count": 2})])
def test_one_thing_is_not_told_as_many(kind: str) -> None:
    one, two, none = (
        words(Notice(kind=kind, key="k", params=params, level="digest")).cause
        for params in ({"count": "1"}, {"count": "2"}, {"count": "not a number"})
    )
    assert one.replace("1", "2") != two and none
