"""Who hears of a reconciliation: unexplained differences until they are settled, and a month that stays open."""

from __future__ import annotations

from datetime import date

import pytest
import time_machine

from sync import month_end
from sync.models import Notice
from sync.notices.words import words
from sync.reconcile import store, telling
from sync.reconcile.work import work
from tests import factories as make
from tests.sync.test_reconcile_pages import reconciliation

pytestmark = pytest.mark.django_db
SEPTEMBER, OCTOBER = (date(2026, 9, 1), date(2026, 9, 30)), (date(2026, 10, 1), date(2026, 10, 31))


def open_notices(kind: str) -> list[Notice]:
    return list(Notice.objects.open().filter(kind=kind).order_by("pk"))


def test_unexplained_differences_are_told_until_their_period_is_settled():
    row = reconciliation(unexplained=2)
    telling.finished(row)
    (notice,) = open_notices(telling.UNEXPLAINED)
    assert notice.params["count"] == "2" and notice.url.endswith(f"/reconcile/{row.pk}/")
    assert notice.organization == row.integration.organization
    mine = {"integration": row.integration}
    telling.finished(reconciliation(unexplained=0, starts=SEPTEMBER[0], ends=SEPTEMBER[1], **mine))
    assert len(open_notices(telling.UNEXPLAINED)) == 1  # another period settles nothing of this one
    wider = reconciliation(unexplained=1, starts=SEPTEMBER[0], ends=OCTOBER[1], **mine)
    telling.finished(wider)
    (notice,) = open_notices(telling.UNEXPLAINED)  # the longer period took its place: one cause, one notice
    assert notice.url.endswith(f"/reconcile/{wider.pk}/")
    telling.finished(reconciliation(unexplained=0, starts=SEPTEMBER[0], ends=OCTOBER[1], **mine))
    assert not open_notices(telling.UNEXPLAINED)


def test_a_signature_settles_it_and_other_integrations_stay():
    row, other = reconciliation(), reconciliation()
    telling.finished(row)
    telling.finished(other)
    store.sign(row, make.make_superuser(), "Agreed with the auditor.")
    assert [notice.integration for notice in open_notices(telling.UNEXPLAINED)] == [other.integration]


@pytest.mark.parametrize(("day", "told"), [(4, 0), (5, 1)])
def test_by_night_an_open_month_is_told_from_the_fifth_day_until_it_is_closed(day, told):
    with time_machine.travel(f"2026-11-0{day}T03:00:00+01:00", tick=False):
        row = reconciliation(trigger="night", unexplained=0, lines=0, starts=OCTOBER[0], ends=OCTOBER[1])
        flow = make.make_flow(
            row.integration, "deals", source_side="crm", source_object="deal", target_side="ledger",
            target_object="invoice", follow_up="back",
        )  # fmt: skip
        make.make_change(flow=flow, state="review")
        telling.finished(row)
        found = open_notices(telling.OPEN_MONTH)
        assert [notice.params["count"] for notice in found] == ["1"] * told
        month_end.close(row.integration, OCTOBER[0], make.make_superuser())
        assert not open_notices(telling.OPEN_MONTH)
        telling.finished(row)
        assert not open_notices(telling.OPEN_MONTH)


def test_a_comparison_that_fails_is_told_until_one_comes_to_its_end():
    integration = make.make_integration()  # no flow carries documents, so nothing can be compared
    for _night in range(2):
        row = store.begin(integration, *OCTOBER, trigger="night", kick=False)
        work(row.pk)
    (notice,) = open_notices(telling.FAILED)
    assert notice.organization == integration.organization and notice.url.endswith(f"/reconcile/{row.pk}/")
    assert "carries documents" in words(notice).cause and "2026-10-01" in words(notice).cause
    telling.finished(reconciliation(unexplained=0, lines=0, integration=integration))
    assert not open_notices(telling.FAILED)
