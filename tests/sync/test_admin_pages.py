"""Every page of the sync room's admin: it opens, costs a constant number of queries, and shows its own scope only."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sync.models import Change, Flow, SyncLogEntry, SyncRun, WorkerHeartbeat
from tests import factories as make

pytestmark = pytest.mark.django_db
VIEW = " ".join(
    f"sync.view_{name}" for name in ("flow", "syncrun", "change", "entitylink", "synclogentry", "workerheartbeat")
)
LISTS = ("flow", "syncrun", "change", "entitylink", "synclogentry", "workerheartbeat")


class Inline(HTMLParser):
    """Collects what the content security policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in names):
            self.refused.append(f"<{tag}>")
        self.refused += [f"{tag} {name}" for name in names if name == "style" or name.startswith("on")]
        self.refused += [f"{tag} {value}" for value in names.values() if (value or "").startswith("javascript:")]


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def list_url(name: str) -> str:
    return reverse(f"admin:sync_{name}_changelist")


def page_url(row) -> str:
    return reverse(f"admin:sync_{row._meta.model_name}_change", args=[row.pk])


def make_world(organization=None):
    """One row of everything, in one organization."""
    integration = make.make_integration(organization)
    mapping = make.make_mapping_set(integration)
    flow = make.make_flow(integration, last_success_at=timezone.now())
    make.make_pass(flow)
    run = make.make_run(flow, state="held", mapping_set=mapping, counts={"update": 1})
    change = make.make_change(run)
    review = make.make_change(run, state="review", action="conflict", candidates=[{"id": "1", "title": "A", "url": ""}])
    log = make.make_log(change, exchange={"request": {"method": "POST"}})
    link = make.make_link(integration, agreed_crm={"city": "Lund"})
    WorkerHeartbeat.objects.get_or_create(queue="bulk")
    return flow, run, change, review, log, link


def all_urls(world) -> list[str]:
    return [reverse("admin:index"), *map(list_url, LISTS), *map(page_url, world)]


def test_every_page_opens_without_inline_style_or_script():
    world = make_world()
    client = client_of(make.make_superuser())
    for url in all_urls(world):
        response = client.get(url)
        assert response.status_code == 200, url
        parser = Inline()
        parser.feed(response.content.decode())
        assert parser.refused == [], url
        assert "'unsafe-inline'" not in response.headers["Content-Security-Policy"]


def test_every_page_opens_in_swedish():
    world = make_world()
    client = client_of(make.make_superuser())
    for url in all_urls(world):
        assert client.get(url, headers={"Accept-Language": "sv"}).status_code == 200, url


def test_a_member_with_view_rights_sees_the_rows_of_the_own_organization_only():
    own, foreign = make.make_organization("Own AB"), make.make_organization("Foreign AB")
    world, other = make_world(own), make_world(foreign)
    Change.objects.filter(flow__integration__organization=foreign).update(source_title="Secret AB")
    Flow.objects.filter(integration__organization=foreign).update(name="Secret flow")
    client = client_of(make.make_user(organization=own, permissions=VIEW))
    for url in all_urls(world):
        response = client.get(url)
        assert response.status_code == 200, url
        text = response.content.decode()
        assert "Secret" not in text and other[0].integration.name not in text and "Foreign AB" not in text, url
    for row in other:
        assert client.get(page_url(row)).status_code == 404, row


def test_a_stranger_without_rights_sees_nothing():
    world = make_world()
    client = client_of(make.make_user())
    assert client.get(reverse("admin:index")).status_code == 200
    for url in map(list_url, LISTS):
        assert client.get(url).status_code == 403, url
    for row in world:
        assert client.get(page_url(row)).status_code in (403, 404), row


FILTERS = {
    "flow": ("integration",),
    "syncrun": ("integration", "flow"),
    "change": ("integration", "flow", "run"),
    "entitylink": ("integration",),
    "synclogentry": ("integration", "run", "change"),
}


@pytest.mark.parametrize(("name", "parameter"), [(name, one) for name, several in FILTERS.items() for one in several])
def test_a_filter_by_a_foreign_row_is_404(name, parameter):
    own = make.make_organization()
    make_world(own)
    flow, run, change, *_rest = make_world()
    client = client_of(make.make_user(organization=own, permissions=VIEW))
    value = {"integration": flow.integration_id, "flow": flow.pk, "run": run.pk, "change": change.pk}[parameter]
    assert client.get(list_url(name), {parameter: value}).status_code == 404
    assert client.get(list_url(name), {parameter: "x"}).status_code == 404


def test_a_filter_offers_own_rows_only_and_filters():
    own = make.make_organization()
    flow, _run, change, *_rest = make_world(own)
    second = make.make_flow(flow.integration, "articles-to-products")
    make.make_change(flow=second, source_title="Spade")
    client = client_of(make.make_user(organization=own, permissions=VIEW))
    text = client.get(list_url("change"), {"flow": second.pk}).content.decode()
    assert "Spade" in text and change.source_title not in text


@pytest.mark.parametrize("name", [*LISTS, "home"])
def test_a_list_costs_the_same_for_one_row_and_for_sixty(name):
    url = reverse("admin:index") if name == "home" else list_url(name)
    client = client_of(make.make_superuser())
    make_world()
    few = _queries(client, url)
    for _number in range(60):
        make_world()
    assert _queries(client, url) == few


def test_the_pages_of_a_run_flow_and_change_cost_the_same_for_one_row_and_for_sixty():
    flow, run, change, *_rest = make_world()
    client = client_of(make.make_superuser())
    urls = [page_url(flow), page_url(run), page_url(change)]
    few = [_queries(client, url) for url in urls]
    user = make.make_superuser()
    for _number in range(60):
        make.make_change(run)
        make.make_run(flow, user=user)
        make.make_log(change, user=user)
    assert [_queries(client, url) for url in urls] == few


def _queries(client: Client, url: str) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_nothing_is_written_on_get():
    world = make_world()
    client = client_of(make.make_superuser())
    before = _everything()
    for url in all_urls(world):
        client.get(url)
    assert _everything() == before


def _everything() -> list:
    return [list(model.objects.order_by("pk").values()) for model in (Flow, SyncRun, Change, SyncLogEntry)]


def test_a_long_list_is_not_counted_to_its_end_and_goes_on_by_id(monkeypatch):
    from sync.admin import base

    monkeypatch.setattr(base, "COUNT_LIMIT", 200)
    flow = make.make_flow()
    changes = [make.make_change(flow=flow) for _number in range(203)]
    text = client_of(make.make_superuser()).get(list_url("change"), {"p": 2}).content.decode()
    assert "more than 200 rows" in text
    assert f"id__lt={changes[3].pk}" in text


def test_a_change_is_found_by_name_id_code_and_correlation_id():
    _flow, run, _change, review, *_rest = make_world()
    client = client_of(make.make_superuser())
    for term in (review.source_title, review.source_id, review.target_id, review.error_code, str(run.correlation_id)):
        assert page_url(review) in client.get(list_url("change"), {"q": term}).content.decode(), term


def test_the_queues_own_admin_is_gone_for_every_role():
    for user in (make.make_superuser(), make.make_user(permissions="django_q.view_schedule")):
        client = client_of(user)
        for path in ("", "schedule/", "schedule/add/", "success/", "failure/", "ormq/"):
            assert client.get(f"/admin/django_q/{path}").status_code == 404


def test_the_home_page_warns_when_the_workers_are_silent():
    make_world()
    client = client_of(make.make_superuser())
    assert "Workers silent" not in client.get(reverse("admin:index")).content.decode()
    WorkerHeartbeat.objects.update(at=timezone.now() - timedelta(minutes=10))
    assert "Workers silent" in client.get(reverse("admin:index")).content.decode()


def test_an_empty_home_page_leads_to_connecting():
    text = client_of(make.make_superuser()).get(reverse("admin:index")).content.decode()
    assert reverse("admin:integrations_connect") in text


def test_the_home_page_counts_what_needs_a_person_and_links_to_exactly_those_rows():
    flow, run, *_rest = make_world()
    client = client_of(make.make_superuser())
    text = client.get(reverse("admin:index")).content.decode()
    assert "1 change needs a person" in text and f"?flow={flow.pk}&amp;state=review" in text
    assert "1 change waits for approval" in text and page_url(run) in text


def test_vendor_text_is_escaped_everywhere():
    hostile = "<script>alert(1)</script>"
    flow, run, *_rest = make_world()
    change = make.make_change(
        run,
        source_title=hostile,
        target_title=hostile,
        source_url=f"javascript:{hostile}",
        target_url="javascript:alert(1)",
        match_rule=hostile,
        reason={"en": hostile},
        diff=[{"field": hostile, "before": hostile, "after": hostile * 9, "reason": hostile}],
        payload={"fields": {hostile: hostile}},
    )
    review = make.make_change(
        run,
        state="review",
        action="conflict",
        error_message=hostile,
        error_field=hostile,
        error_value=hostile,
        candidates=[{"id": hostile, "title": hostile, "url": "javascript:alert(1)", "fields": {hostile: hostile}}],
        problems=[{"message": {"en": hostile}, "remedy": {"en": hostile}, "field": hostile, "value": hostile}],
    )
    log = make.make_log(change, hostile[:60], message=hostile, exchange={"answer": hostile})
    link = make.make_link(flow.integration, title=hostile, agreed_crm={hostile: hostile}, crm_url="javascript:alert(1)")
    client = client_of(make.make_superuser())
    for url in [page_url(row) for row in (run, change, review, log, link)] + [list_url(name) for name in LISTS]:
        text = client.get(url).content.decode()
        assert "alert(1)</script>" not in text and 'href="javascript:' not in text, url


def test_a_difference_reads_as_a_sentence():
    run = make.make_run(state="held")
    schema = {"company": {"schema": {"fields": {"city": {"label": "City"}}}}}
    type(run.integration.crm_account).objects.update(schemas=schema)
    make.make_change(run, diff=[{"field": "city", "before": "Lund", "after": None, "reason": ""}])
    text = client_of(make.make_superuser()).get(page_url(run)).content.decode()
    assert "City:</span> <del>Lund</del>" in text and "∅" in text


def test_the_tabs_of_a_plan_count_and_filter():
    run = make.make_run(state="held")
    make.make_change(run, action="create", source_title="New AB")
    make.make_change(run, action="update", source_title="Old AB")
    make.make_change(run, action="skip", state="skipped", source_title="Left out AB")
    client = client_of(make.make_superuser())
    text = client.get(page_url(run), {"action": "create"}).content.decode()
    assert "New AB" in text and "Old AB" not in text and "Left out AB" not in text
    text = client.get(page_url(run), {"state": "skipped"}).content.decode()
    assert "Left out AB" in text and "New AB" not in text
    assert client.get(page_url(run), {"action": "nonsense"}).status_code == 404


def test_a_plan_of_many_changes_is_paged():
    run = make.make_run(state="held")
    for _number in range(130):
        make.make_change(run)
    client = client_of(make.make_superuser())
    first = client.get(page_url(run))
    assert "130 shown" in first.content.decode() and len(first.context["rows"]) == 100
    assert len(client.get(page_url(run) + first.context["older_url"]).context["rows"]) == 30


def test_money_follows_the_readers_language():
    from decimal import Decimal

    from django.utils import translation

    from sync.admin import show

    with translation.override("sv"):
        assert show.amount(Decimal("12500"), "SEK").replace("\xa0", " ") == "12 500,00 kr"
    with translation.override("en"):
        assert show.amount(Decimal("12500"), "SEK") == "12,500.00 SEK"
