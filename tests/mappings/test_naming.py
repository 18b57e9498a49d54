"""The names of presets are stored once, in English, and read in every language."""

from __future__ import annotations

import pytest
from django.utils import translation

from mappings.presets import available, shown, stored, templates


@pytest.mark.parametrize("crm", ["hubspot", "salesforce"])
def test_every_preset_is_called_by_its_name_in_swedish_and_by_its_own_in_english(crm: str) -> None:
    for preset in [*available(crm, "fortnox"), *templates(crm, "fortnox")]:
        with translation.override("sv"):
            assert shown(preset.name) != preset.name
            assert shown(preset.description) != preset.description
        with translation.override("en"):
            assert shown(preset.name) == preset.name


def test_a_name_that_somebody_chose_is_shown_as_it_was_written() -> None:
    with translation.override("sv"):
        assert shown("Invoices to deals, EU only") == "Invoices to deals, EU only"
        # Words that are translated elsewhere are a name all the same, and an empty text is no catalog's header.
        assert shown("Address") == "Address"
        assert shown("") == ""


def test_what_a_template_named_is_read_in_the_other_language_around_the_objects_own_label() -> None:
    with translation.override("sv"):
        swedish = shown("Service order to invoices")
        assert swedish == "Service order till fakturor"
    with translation.override("en"):
        assert shown(swedish) == "Service order to invoices"


def test_a_search_finds_a_preset_by_the_words_that_the_reader_sees() -> None:
    with translation.override("sv"):
        assert "Customers to companies" in stored("kunder till FÖRETAG")
        assert stored("  ") == []
    with translation.override("en"):
        assert stored("kunder till företag") == []
