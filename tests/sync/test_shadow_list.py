"""The list of shadow reports: what observes comes first, foreign pairs never, and the cost is constant."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sync.admin.shadow import sentence
from tests import factories as make

pytestmark = pytest.mark.django_db


def test_pairs_that_observe_come_first_and_foreign_ones_not_at_all(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    organization = make.make_organization("Egen AB")
    for number in range(4):
        make.make_integration(organization, name=f"Par {number}", mode="observe" if number == 3 else "live")
    make.make_integration(make.make_organization("Främmande AB"), name="Annans par")
    client.force_login(make.make_user(organization=organization))
    with django_assert_max_num_queries(12):
        said = client.get(reverse("admin:shadow_list")).content.decode()
    assert "Annans par" not in said
    assert said.index("Par 3") < said.index("Par 0")
    assert "Make a report" in said
    assert reverse("admin:shadow_list") in said  # it stands in the menu


def test_a_report_is_offered_where_an_integration_observes_and_explained_elsewhere(client: Client) -> None:
    organization = make.make_organization()
    pairs = {mode: make.make_integration(organization, mode=mode) for mode in ("observe", "live", "off")}
    client.force_login(make.make_user(organization=organization, role="consultant"))
    listed = client.get(reverse("admin:shadow_list")).content.decode()
    assert listed.count("Make a report") == 1
    assert "what it planned is there because it wrote it" in listed and "plans nothing" in listed
    for mode, pair in pairs.items():
        here = reverse("admin:shadow", args=[pair.pk])
        assert ("Compare now" in client.get(here).content.decode()) == (mode == "observe")
        client.post(reverse("admin:shadow_start", args=[pair.pk]), {"starts": "2026-01-01", "ends": "2026-01-31"})
        assert pair.shadow_reports.exists() == (mode == "observe"), mode


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "We would have made 0 documents."),
        ({"identical": 1}, "We would have made 1 document: 1 is identical to what is there."),
        (
            {"identical": 209, "differs": 1, "only_ours": 2, "several": 1, "only_theirs": 1, "blocked": 3},
            "We would have made 213 documents: 209 are identical to what is there, 1 differs, 2 are not there, "
            "1 fits several. 1 is there that we would not have made, 3 we would have stopped.",
        ),
    ],
)
def test_the_sentence_counts_in_the_right_number(counts: dict[str, int], said: str) -> None:
    assert sentence(counts) == said
