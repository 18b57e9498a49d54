"""What failed as a whole says its cause and remedy in the reader's language; the vendor's own words come second."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.html import escape

from integrations.catalogue import explain
from integrations.models import Integration
from sync.engine.approve import approve, cancel_plan
from sync.failures import failure_of
from sync.models import Flow, Notice, Reconciliation, ShadowReport, SyncRun
from sync.notices.words import words
from tests import factories as make

pytestmark = pytest.mark.django_db
RAW = "Upstream connect error or disconnect/reset before headers."
FAILED: dict[str, Any] = {
    "state": "failed", "error_class": "transient", "error_code": "http_503", "error_message": RAW,
}  # fmt: skip
PERIOD: dict[str, Any] = {"starts": date(2026, 1, 1), "ends": date(2026, 1, 31)}


def reader(language: str = "sv") -> Client:
    client = Client(headers={"accept-language": language})
    client.force_login(make.make_superuser())
    return client


def failed_run() -> SyncRun:
    return make.make_run(make.make_flow(enabled=True), **FAILED)


def failed_comparison() -> Reconciliation:
    return Reconciliation.objects.create(integration=make.make_integration(), **PERIOD, **FAILED)


def failed_report() -> ShadowReport:
    pair = make.make_integration(mode=Integration.Mode.OBSERVE)
    return ShadowReport.objects.create(integration=pair, **PERIOD, **FAILED)


PAGES = {
    "plan": lambda: reverse("admin:sync_syncrun_change", args=[failed_run().pk]),
    "flow": lambda: reverse("admin:sync_flow_change", args=[failed_run().flow_id]),
    "comparison": lambda: reverse("admin:reconcile_one", args=[failed_comparison().pk]),
    "shadow": lambda: reverse("admin:shadow", args=[failed_report().integration_id]),
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", ["en", "sv"])
def test_a_page_about_a_failure_says_cause_and_remedy_before_the_vendors_words(name: str, language: str) -> None:
    page = reader(language).get(PAGES[name]()).content.decode()
    with translation.override(language):
        entry = explain("fortnox", "http_503")
        cause, remedy = escape(entry.cause_text), escape(entry.remedy_text)
    assert entry.known and cause in page and remedy in page
    assert page.index(cause) < page.index(remedy) < page.index(f'<p class="lb-quiet">{RAW}')


def test_lists_of_runs_say_the_cause_and_read_it_at_no_further_cost(django_assert_max_num_queries: Any) -> None:
    run = failed_run()
    client = reader()
    with translation.override("sv"):
        cause = explain("fortnox", "http_503").cause_text
    for url in (reverse("admin:sync_syncrun_changelist"), reverse("admin:sync_flow_change", args=[run.flow_id])):
        page = client.get(url).content.decode()
        assert cause[:80] in page
    for _more in range(5):
        make.make_run(run.flow, **FAILED)
    with django_assert_max_num_queries(12):
        client.get(reverse("admin:sync_syncrun_changelist"))


def test_the_guided_path_says_why_the_first_plan_failed_and_what_to_do() -> None:
    run = failed_run()
    Integration.objects.update(mode=Integration.Mode.OBSERVE)
    page = reader().get(reverse("admin:path_integration", args=[run.integration_id])).content.decode()
    with translation.override("sv"):
        entry = explain("fortnox", "http_503")
        text = f"{entry.cause_text} {entry.remedy_text}"
    assert escape(text) in page
    assert RAW not in page


def test_a_page_and_the_notice_about_a_failure_use_the_same_words() -> None:
    run = failed_run()
    for code in ("http_503", "2000588", "not-described"):
        params = {"flow": "F", "systems": "fortnox,hubspot", "code": code, "message": RAW}
        told = words(Notice(kind="run_failed", params=params))
        run.error_code = code
        failure = failure_of(run, ("fortnox", "hubspot"))
        assert failure is not None and failure.cause in told.cause and failure.remedy in told.remedy
    assert failure is not None and (failure.cause, failure.raw) == (RAW, "")  # nothing is said twice


def test_what_did_not_fail_says_nothing() -> None:
    flow = make.make_flow(enabled=True)
    run = make.make_run(flow)
    assert failure_of(run, ("fortnox", "hubspot")) is None
    page = reader().get(reverse("admin:sync_flow_change", args=[Flow.objects.get().pk])).content.decode()
    assert "lb-check" not in page


def test_a_refusal_that_a_button_shows_is_in_the_readers_language() -> None:
    run = make.make_run(make.make_flow(), state="held")
    make.make_run(run.flow, state="planning")
    Integration.objects.update(mode=Integration.Mode.OBSERVE)
    with translation.override("sv"):
        with pytest.raises(ValueError, match="Integrationen") as observing:
            approve(run, None)
        with pytest.raises(ValueError) as planning:
            cancel_plan(run, None)
    assert all(isinstance(refused.value.args[0], Promise) for refused in (observing, planning))
