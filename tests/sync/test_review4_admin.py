"""A review of the review queue: strangers, odd input, what a page runs, what an edited payload may change."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from integrations.errors import InvalidData
from integrations.models import Membership
from mappings.models import LinkRule
from sync import resend
from sync.models import Change, Flow, ReviewNote, SyncLogEntry
from tests import factories as make
from tests.sync.test_review_queue import RIGHTS, client_of, failure, group_address, member_of, page
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db
World = Callable[..., TinyWorld]


def tool(change: Change, name: str) -> str:
    return reverse(f"admin:sync_change_{name}", args=[change.pk])


# --- strangers -------------------------------------------------------------------------------------------------------


def test_a_stranger_in_the_same_group_is_never_counted_shown_released_or_dismissed() -> None:
    """Two organizations fail alike: the group has one address for both."""
    mine = failure(source_title="my own deal")
    theirs = failure(source_title="a stranger's deal")
    assert group_address(mine) == group_address(theirs)
    client = member_of(mine)
    shown = page(client, group_address(mine)) + page(client, reverse("admin:review"))
    assert "my own deal" in shown and "stranger" not in shown and theirs.integration.name not in shown
    client.post(group_address(mine, "review_forecast"))
    assert "stranger" not in client.post(group_address(mine, "review_release")).content.decode()
    client.post(group_address(mine, "review_release"), {"confirmed": "1"})
    mine.refresh_from_db()
    mine.state = "review"
    mine.save()
    client.post(group_address(mine, "review_dismiss"), {"confirmed": "1", "reason": "x"})
    states = dict(Change.objects.values_list("pk", "state"))
    assert states == {mine.pk: "dismissed", theirs.pk: "review"}
    assert not SyncLogEntry.objects.filter(integration=theirs.integration).exists()


@pytest.mark.parametrize("name", ["assign", "note", "resend", "certificate", "retry", "dismiss", "approve", "link"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_strangers_change_does_not_exist_and_get_changes_nothing(name: str, method: str) -> None:
    mine, theirs = failure(), failure()
    before = list(Change.objects.order_by("pk").values())
    client = member_of(mine)
    answer = getattr(client, method)(tool(theirs, name), {"to": "", "text": "x", "confirmed": "1", "reason": "x"})
    assert answer.status_code in ((404,) if method == "post" else (404, 405))
    client.get(tool(mine, name), {"to": "", "text": "x", "confirmed": "1", "reason": "x", "target": "1"})
    assert list(Change.objects.order_by("pk").values()) == before and not ReviewNote.objects.exists()


def test_a_stranger_cannot_be_assigned_nor_filtered_by() -> None:
    mine, theirs = failure(), failure()
    client = member_of(mine)
    stranger = make.make_user("stranger", organization=theirs.integration.organization)
    client.post(tool(mine, "assign"), {"to": str(stranger.pk)})
    mine.refresh_from_db()
    assert mine.assigned_to is None
    review = reverse("admin:review")
    for name, value in (
        ("assigned", stranger.pk),
        ("organization", theirs.integration.organization.pk),
        ("integration", theirs.integration.pk),
        ("flow", theirs.flow.pk),
    ):
        assert client.get(review, {name: str(value)}).status_code == 404
    assert "stranger" not in page(client, review)


def test_one_who_left_the_organization_sees_nothing_at_once() -> None:
    change = failure(source_title="my own deal")
    user = make.make_user(organization=change.integration.organization, permissions=RIGHTS)
    client = client_of(user)
    assert "my own deal" in page(client, reverse("admin:review"))
    Membership.objects.all().delete()
    assert "my own deal" not in page(client, reverse("admin:review"))
    assert client.get(tool(change, "certificate")).status_code == 404


# --- odd input -------------------------------------------------------------------------------------------------------

ODD = ["\x00", "9" * 30, "9" * 5000, "٣", "-1", "<script>", "' or 1=1 --", "x" * 3000, "🙂", "%s%n", "{0.__class__}"]


@pytest.mark.parametrize("odd", ODD, ids=[repr(each)[:10] for each in ODD])
def test_odd_addresses_are_no_fault_and_nothing_of_them_is_run(odd: str) -> None:
    change = failure()
    client = member_of(change)
    base = {"group": change.error_fingerprint, "class": "data", "code": change.error_code}
    answers = [client.get(reverse("admin:review_group"), base | {name: odd}) for name in (*base, "after")]
    names = ("p", "class", "age", "organization", "flow", "responsible", "assigned")
    answers += [client.get(reverse("admin:review"), {name: odd}) for name in names]
    answers += [client.post(tool(change, "assign"), {"to": odd}), client.post(tool(change, "link"), {"target": odd})]
    for answer in answers:
        assert answer.status_code in (200, 302, 404)
        assert b"<script>" not in answer.content.replace(b"<script src=", b"")


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
def test_a_character_that_databases_refuse_does_not_lose_a_note_or_reason(text: str) -> None:
    change = failure()
    client = member_of(change)
    assert client.post(tool(change, "note"), {"text": f"why {text}"}).status_code == 302
    assert "\x00" not in ReviewNote.objects.get().text
    answer = client.post(tool(change, "dismiss"), {"confirmed": "1", "reason": f"because {text}"})
    assert answer.status_code == 302
    change.refresh_from_db()
    assert change.state == "dismissed" and "\x00" not in change.dismissed_reason


# --- what vendors and people write is text ---------------------------------------------------------------------------

EVIL = "<img src=x onerror=alert(1)>\"'{{7*7}}"


def test_hostile_text_is_text_on_every_page(tiny: World) -> None:
    change = failure(
        value=EVIL, error_message=EVIL, source_title=EVIL, source_id="7", error_field=EVIL[:90], target_id="",
        action="create", remote_reference="LB-1", actor=EVIL, target_title=EVIL, currency="SEK",
        checks=[{"code": EVIL, "ok": False, "label": {"en": EVIL}, "actual": EVIL, "message": {"en": EVIL},
                 "remedy": {"en": EVIL}, "lines": [EVIL], "repair": "", "value": EVIL, "choices": []}],
        candidates=[{"id": EVIL, "title": EVIL, "url": "javascript:alert(1)", "fields": {EVIL: EVIL}}],
        payload={"fields": {"name": EVIL}}, diff=[{"field": "name", "before": EVIL, "after": EVIL}],
        edits={EVIL: {"before": EVIL, "after": EVIL}}, problems=[{"message": {"en": EVIL}, "remedy": {"en": EVIL},
        "field": EVIL, "value": EVIL, "code": EVIL}], source_url="javascript:alert(1)",
        verifications=[{"at": "2026-01-01T00:00:00+00:00", "hits": 0}],
    )  # fmt: skip
    SyncLogEntry.objects.create(
        integration=change.integration, change=change, event="queued→sending", message=EVIL, exchange={EVIL: EVIL}
    )
    SyncLogEntry.objects.create(integration=change.integration, change=change, event="sending→review", message=EVIL)
    client = member_of(change)
    client.post(tool(change, "note"), {"text": EVIL})
    pages = [reverse("admin:review"), group_address(change), tool(change, "resend"), tool(change, "certificate")]
    pages += [reverse("admin:sync_change_change", args=[change.pk]), reverse("admin:sync_change_changelist")]
    for address in pages:
        shown = page(client, address)
        assert "<img src=x" not in shown and "49" not in re.findall(r"\{\{7\*7\}\}|\b49\b", shown), address
        assert not re.search(r"""href=["']?\s*javascript:""", shown, re.IGNORECASE), address


def test_the_repair_of_a_record_leads_to_the_web_or_nowhere() -> None:
    from integrations.catalogue import Repair
    from sync.admin.review_repairs import way

    class Entry:
        matching_repair = Repair.RECORD

    change = failure(source_url="javascript:alert(document.cookie)")
    found = way(change, Entry())  # type: ignore[arg-type]
    assert found is None or not found.url
    change.source_url = "https://app.hubspot.com/contacts/1/record/0-3/7"
    found = way(change, Entry())  # type: ignore[arg-type]
    assert found is not None and found.url == change.source_url


# --- an edited payload -----------------------------------------------------------------------------------------------


def refused(tiny: World) -> tuple[TinyWorld, Change]:
    world = tiny()
    world.crm.refuse["Bad name"] = InvalidData("no such name", code="2000359", field="name", value="Bad name")
    world.customer(1, name="Bad name")
    world.sync()
    return world, Change.objects.get(state="review")


def test_whom_a_document_is_for_is_decided_by_its_link_and_not_by_an_edit(tiny: World) -> None:
    _world, change = refused(tiny)
    assert change.mapping_set is not None
    LinkRule.objects.bulk_create(
        [LinkRule(mapping_set=change.mapping_set, name="owner", expression="x", related_slug="x", target_field="city")]
    )
    edits, problems = resend.read_edits(change, {"name": "Good name", "city": "Another"})
    assert edits == {"name": "Good name"} and not problems
    assert {row.name for row in resend.editable(change) if row.fixed} >= {"city"}


def test_our_own_key_and_unknown_fields_cannot_be_edited(tiny: World) -> None:
    _world, change = refused(tiny)
    unique = change.payload["unique"][0]
    given = {"name": "Good name", "made_up": "x", "__proto__": "x", "lines": "[]", "unique": "x", unique: "x"}
    edits, _problems = resend.read_edits(change, given)
    assert edits == {"name": "Good name"}


@pytest.mark.parametrize("odd", ["\x00", "x" * 200_000, "\ud83d", "🙂" * 300, "=cmd|' /C calc'!A0"])
def test_odd_edits_are_no_fault(tiny: World, odd: str) -> None:
    _world, change = refused(tiny)
    answer = member_of(change).post(tool(change, "resend"), {"name": odd.encode("utf-8", "replace").decode()})
    assert answer.status_code in (302, 422)
    assert "\\u0000" not in json.dumps(Change.objects.get(pk=change.pk).payload)


def test_an_edit_of_money_is_an_approval(tiny: World) -> None:
    _world, change = refused(tiny)
    Flow.objects.update(amount_field="city")
    helper = member_of(change, "sync.view_change sync.retry_change sync.edit_payload_change")
    assert helper.post(tool(change, "resend"), {"city": "1"}).status_code == 403
    change.refresh_from_db()
    assert change.state == "review" and not change.edits


@pytest.mark.parametrize("missing", ["sync.edit_payload_change", "sync.retry_change"])
def test_sending_again_needs_both_rights(tiny: World, missing: str) -> None:
    _world, change = refused(tiny)
    user = make.make_user(organization=change.integration.organization, permissions=RIGHTS.replace(missing, ""))
    client: Client = client_of(user)
    assert client.get(tool(change, "resend")).status_code == 403
    assert client.post(tool(change, "resend"), {"name": "x"}).status_code == 403
