"""Records that mirror a document of the ledger never write back into it, whatever the other direction is set to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sync import interactive, tasks
from tests.end_to_end.world import World

INVOICES = "deals-to-invoices"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("takes", ["linked", "all", "own"])
def test_an_imported_deal_never_changes_its_invoice(world: Callable[..., World], takes: str) -> None:
    here = world(customers=4, articles=4, invoices=6, accounts=4)
    for slug in ("customers-to-companies", "invoices-to-deals"):
        here.sync(slug)
    flow = here.flow(INVOICES)
    flow.takes = takes
    flow.save()
    imported = here.links("invoices-to-deals")
    assert imported
    before = here.fortnox("invoices")
    deal = next(iter(imported.values()))
    here.pass_time()
    here.edit_crm("deals", deal, description="Skrivet i CRM")
    here.sync(INVOICES)
    asked = interactive.look(here.flow(INVOICES), deal, actor="anna@kund.se")
    tasks.work_on(asked.pk)
    assert interactive.state_of(here.flow(INVOICES), deal).phase == "done"
    after = {row["DocumentNumber"]: row for row in here.fortnox("invoices")}
    assert [after[row["DocumentNumber"]] for row in before] == before
