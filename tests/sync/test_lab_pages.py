"""The lab's pages: who may do what, what they say, how many queries they cost, and every button once."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mappings import bundle
from mappings.models import GoldenSample, MappingSet, Resync, State, new_draft, publish
from sync.models import Change, Flow, SyncLogEntry
from tests import factories as make
from tests.lab_world import LabWorld

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> LabWorld:
    return LabWorld(monkeypatch)


def url(name: str, *args: Any) -> str:
    return reverse(f"admin:{name}", args=args)


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def pin(world: LabWorld, client: Client, draft: MappingSet, name: str = "the first", **more: str) -> GoldenSample:
    client.post(url("lab_pin", draft.pk), {"record": "1", "name": name, **more})
    return GoldenSample.objects.get(name=name)


GETS = ("lab", "lab_golden", "lab_publish", "lab_versions", "lab_file", "lab_download")
POSTS = ("lab_try", "lab_pin", "lab_count", "lab_publish_now", "lab_rollback", "lab_draft", "lab_clone", "lab_upload",
         "lab_import")  # fmt: skip


def test_others_do_not_find_it_and_a_viewer_only_looks(world: LabWorld) -> None:
    world.customer(1)
    draft = world.draft()
    _user, own = world.person()
    sample = pin(world, own, draft)
    order = Resync.objects.create(mapping_set=world.published, source_ids=["1"], total=1, until=1)
    pairs: list[tuple[str, tuple[int, ...]]] = [(name, (draft.pk,)) for name in (*GETS, *POSTS)]
    pairs += [
        ("lab_sample", (draft.pk, sample.pk)),
        ("lab_go_on", (draft.pk, order.pk)),
        ("lab_stop", (draft.pk, order.pk)),
    ]
    changes = ("lab_expect", "lab_sample_edit", "lab_redact", "lab_sample_read", "lab_sample_remove")
    pairs += [(name, (draft.pk, sample.pk)) for name in changes]
    stranger = Client()
    stranger.force_login(make.make_user(organization=make.make_organization(), role="owner"))
    _viewer, viewer = world.person("viewer")
    before = (MappingSet.objects.count(), GoldenSample.objects.get().expected, Resync.objects.get().stopped_at)
    for name, args in pairs:
        gets = name in GETS or name == "lab_sample"
        for client, expected in ((stranger, 404), (viewer, 200 if gets else 403)):
            answer = client.get(url(name, *args)) if gets else client.post(url(name, *args), {"confirmed": "1"})
            assert answer.status_code == expected, (name, answer.status_code)
        if not gets:
            assert own.get(url(name, *args)).status_code == 405, name  # nothing happens on GET
    assert (MappingSet.objects.count(), GoldenSample.objects.get().expected, Resync.objects.get().stopped_at) == before
    there = make.make_mapping_set(slug=draft.slug)
    theirs = GoldenSample.objects.create(integration=there.integration, slug=there.slug, name="theirs")
    foreign = Resync.objects.create(mapping_set=there, source_ids=["1"], total=1, until=1)
    assert own.get(url("lab_sample", draft.pk, theirs.pk)).status_code == 404
    assert own.post(url("lab_stop", draft.pk, foreign.pk)).status_code == 404


def test_a_draft_is_run_group_by_group_with_running_counts(world: LabWorld) -> None:
    for number in range(25):
        world.customer(number)
    world.sync()
    draft = world.draft()
    _user, client = world.person("support")
    world.ledger.calls.clear()
    assert "Compare what this version makes" in text_of(client.get(url("lab", draft.pk)))
    assert not world.ledger.calls
    answer = client.post(url("lab_try", draft.pk), {"n": "50"})
    assert "20 of 25 records tried" in text_of(answer) and 'hx-trigger="load' in answer.content.decode()
    todo, counts = answer.context["todo"], answer.context["carry"]
    answer = client.post(url("lab_try", draft.pk), {"todo": todo, "counts": counts})
    said = text_of(answer)
    assert "25 of 25 records tried" in said and "Differ 25" in said and not answer.context["todo"]
    assert "<del>Customer" in answer.content.decode() and "fields are the same" in said
    one = client.post(url("lab_try", draft.pk), {"record": "3", "all": "1"})
    assert "1 of 1 records" in text_of(one) and "Lund" in text_of(one)
    for odd in ("[" * 9_000, '{"a": 1}', "[1, null]", "x"):
        assert client.post(url("lab_try", draft.pk), {"todo": odd, "counts": odd}).status_code == 200
    assert not Change.objects.filter(state="held").exists()


def test_what_cannot_run_or_be_read_says_so(world: LabWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    draft = world.draft("customer.")
    _user, client = world.person()
    assert "cannot run yet" in text_of(client.post(url("lab_try", draft.pk), {"record": "1"}))
    draft.field_mappings.filter(target_field="name").update(expression="customer.name")
    assert "Nothing to run on" in text_of(client.post(url("lab_try", draft.pk), {"n": "20"}))
    said = text_of(client.post(url("lab_try", draft.pk), {"record": "<b>77</b>"}))
    assert "Not readable 1" in said


def test_a_golden_sample_is_pinned_fails_is_updated_edited_redacted_and_removed(world: LabWorld) -> None:
    world.customer(1, name="Anna <b>Åberg</b>")
    draft = world.draft("customer.name")
    user, client = world.person()
    assert "No golden sample yet" in text_of(client.get(url("lab_golden", draft.pk)))
    sample = pin(world, client, draft, note="rare")
    assert "The golden sample passes" in text_of(client.get(url("lab_golden", draft.pk)))
    draft.field_mappings.filter(target_field="name").update(expression="upper(customer.name)")
    listed = client.get(url("lab_golden", draft.pk))
    assert "cannot be published" in text_of(listed) and "<b>Åberg" not in listed.content.decode()
    blocked = client.post(url("lab_publish_now", draft.pk), {"then": "future", "revision": "0"}, follow=True)
    assert "Nothing was published" in text_of(blocked) and "the first" in text_of(blocked)
    assert world.flow.mapping_set() == world.published
    one = url("lab_sample", draft.pk, sample.pk)
    assert "The new result is right" in text_of(client.get(one))
    client.post(url("lab_expect", draft.pk, sample.pk))
    sample.refresh_from_db()
    assert sample.expected["name"].startswith("ANNA") and sample.history.first().history_user == user
    assert "updated to version 2" in text_of(client.get(one))
    client.post(url("lab_sample_edit", draft.pk, sample.pk), {"v:customer.city": "Umeå"})
    client.post(url("lab_sample_read", draft.pk, sample.pk))  # as it is at its source: the city is Lund again
    assert "fails" in text_of(client.get(one))
    assert "cannot be undone" not in text_of(client.post(url("lab_redact", draft.pk, sample.pk)))
    assert not GoldenSample.objects.get().redacted
    client.post(url("lab_redact", draft.pk, sample.pk), {"confirmed": "1"})
    assert "Anna" not in client.get(one).content.decode() and "ANNA" not in client.get(one).content.decode()
    again = client.post(url("lab_sample_read", draft.pk, sample.pk), follow=True)
    assert "not known any more" in text_of(again)
    client.post(url("lab_sample_remove", draft.pk, sample.pk), {"confirmed": "1"})
    assert not GoldenSample.objects.exists() and GoldenSample.history.filter(history_type="-").count() == 1


def test_publishing_counts_offers_and_orders_and_a_stale_page_is_refused(world: LabWorld) -> None:
    for number in range(22):
        world.customer(number)
    world.sync()
    draft = world.draft()
    _user, client = world.person()
    page = url("lab_publish", draft.pk)
    assert "22 records are linked" in text_of(client.get(page))
    first = client.post(url("lab_count", draft.pk))
    assert "20 would differ, of the 20 looked at" in text_of(first) and "Exact" not in text_of(first)
    carry = {name: first.context[name] for name in ("after", "differ", "looked")}
    second = client.post(url("lab_count", draft.pk), carry)
    assert "22 would differ, of the 22 looked at" in text_of(second) and "Exact: all of them were read" in text_of(
        second
    )
    differ = second.context["differ"]
    MappingSet.objects.filter(pk=draft.pk).update(revision=3)
    stale = client.post(
        url("lab_publish_now", draft.pk), {"then": "canary", "revision": "2", "differ": differ}, follow=True
    )
    assert "changed the draft after you opened" in text_of(stale) and not Resync.objects.exists()
    assert (
        client.post(url("lab_publish_now", draft.pk), {"revision": "3"}).status_code == 302
    )  # no choice, nothing done
    uncounted = client.post(url("lab_publish_now", draft.pk), {"then": "all", "revision": "3"}, follow=True)
    assert "count first" in text_of(uncounted)
    assert MappingSet.objects.get(pk=draft.pk).editable
    given = {"then": "canary", "revision": "3", "differ": differ, "note": "Names in capitals"}
    done = client.post(url("lab_publish_now", draft.pk), given, follow=True)
    order = Resync.objects.get()
    assert (order.total, order.until) == (22, 5)
    assert "Version 2 is in force" in text_of(done) and "Names in capitals" in text_of(done)
    late = client.post(url("lab_publish_now", draft.pk), given, follow=True)
    assert "published already" in text_of(late) and Resync.objects.count() == 1
    Resync.objects.update(planned=5)
    assert "Plan the other 17" in text_of(client.get(url("lab_versions", draft.pk)))
    client.post(url("lab_go_on", draft.pk, order.pk))
    order.refresh_from_db()
    assert order.until == 22
    Flow.objects.update(enabled=False)
    assert "Waits: the flow is off" in text_of(client.get(url("lab_versions", draft.pk)))
    client.post(url("lab_stop", draft.pk, order.pk))
    assert "Stopped" in text_of(client.get(url("lab_versions", draft.pk)))
    events = set(SyncLogEntry.objects.values_list("event", flat=True))
    assert events >= {"mapping published", "re-sync asked for", "re-sync goes on", "re-sync stopped"}


def test_versions_are_compared_gone_back_to_and_cloned(world: LabWorld) -> None:
    world.customer(1)
    bad = publish(world.draft(), None)
    world.sync()
    user, client = world.person()
    answer = client.get(url("lab_versions", bad.pk), {"a": "1", "b": "2"})
    assert (
        "<del>customer.name</del>" in answer.content.decode()
        and "<ins>upper(customer.name)</ins>" in answer.content.decode()
    )
    assert "no versions of these numbers" in text_of(client.get(url("lab_versions", bad.pk), {"a": "1", "b": "99"}))
    asked = client.post(url("lab_rollback", world.published.pk))
    assert "1 record that later versions wrote is planned again" in text_of(asked) and MappingSet.objects.count() == 2
    client.post(url("lab_rollback", world.published.pk), {"confirmed": "1"})
    back = world.flow.mapping_set()
    assert (back.version, back.published_by) == (3, user) and Resync.objects.get().source_ids == ["1"]
    other = make.make_integration(world.integration.organization)
    foreign = make.make_integration()
    said = text_of(client.get(url("lab_versions", back.pk)))
    assert str(other) in said and str(foreign) not in said
    for given in (str(foreign.pk), "x", str(world.integration.pk)):
        client.post(url("lab_clone", back.pk), {"integration": given})
    assert not foreign.mapping_sets.exists()
    client.post(url("lab_clone", back.pk), {"integration": str(other.pk)})
    assert other.mapping_sets.get().state == State.DRAFT
    client.post(url("lab_draft", back.pk))
    assert "already a draft" in text_of(client.post(url("lab_draft", back.pk), follow=True))


def test_a_file_is_downloaded_looked_at_and_becomes_a_draft(world: LabWorld) -> None:
    _user, client = world.person()
    page = world.published
    answer = client.get(url("lab_download", page.pk))
    assert answer["Content-Disposition"] == 'attachment; filename="customers.json"'
    assert answer.content == bundle.export(page)
    data = bundle.bundle_of(page)
    data["fields"][0]["expression"] = "upper(customer.name)"

    def upload(content: bytes, name: str = "c.json") -> Any:
        return client.post(url("lab_upload", page.pk), {"file": SimpleUploadedFile(name, content)})

    looked = upload(bundle.dumps(data))
    assert "version 2" in text_of(looked) and "upper(customer.name)" in looked.content.decode()
    assert MappingSet.objects.count() == 1
    for bad in (b"{", b"[" * 50_000, b"x" * 1_100_000, json.dumps(data | {"format_version": 9}).encode()):
        refused = upload(bad, "<img src=x>.json")
        assert "nothing was made" in text_of(refused) and "<img src=x" not in refused.content.decode()
    assert "Choose a file first" in text_of(client.post(url("lab_upload", page.pk)))
    for broken in ("&&&", "åäö", "e30", "\u202e"):
        assert "damaged on its way" in text_of(client.post(url("lab_import", page.pk), {"data": broken}))
    assert "no JSON" in text_of(client.post(url("lab_import", page.pk), {"data": base64.b64encode(b"{").decode()}))
    assert MappingSet.objects.count() == 1
    client.post(url("lab_import", page.pk), {"data": looked.context["data"], "file_name": "c.json"})
    draft = MappingSet.objects.get(version=2)
    assert (draft.state, draft.note) == (State.DRAFT, "Imported from c.json")
    assert "already a draft" in text_of(upload(bundle.dumps(data)))


def test_pages_cost_the_same_for_one_and_for_many(world: LabWorld, django_assert_max_num_queries: Any) -> None:
    world.customer(1)
    world.sync()
    _user, client = world.person()
    last = world.published
    for number in range(4):
        last = publish(new_draft(last, None, note=f"n{number}"), None)
        Resync.objects.create(mapping_set=last, source_ids=["1"], total=1, until=1)
    for number in range(5):
        pin(world, client, last, name=f"sample {number}")
    for name, most in (("lab", 14), ("lab_golden", 34), ("lab_versions", 40), ("lab_file", 12)):
        client.get(url(name, last.pk))
        with django_assert_max_num_queries(most):
            assert client.get(url(name, last.pk)).status_code == 200
