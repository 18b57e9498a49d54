"""The sentences of the presets that people read in plans and reviews, marked for translation.

They live in data files, where no tool looks for them; a test keeps this list complete. They are translated when a
problem is read, like every other message of the mapper.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

TEXTS = frozenset(
    {
        _("Enable {value} in HubSpot: Settings, Account defaults, Currency. The invoice is then imported by itself."),
        _("Run the set-up of this flow again: it creates the pipeline “Fortnox Invoices” when it is missing."),
        _("Run the set-up of this flow again: it creates the stages of “Fortnox Invoices” that are missing."),
        _("The invoice is cancelled in Fortnox."),
        _("The pipeline “Fortnox Invoices” or one of its stages is missing in HubSpot."),
        _("Run the set-up of this flow again: it creates what is missing."),
        _("Text row: no article and no quantity."),
    }
)

NAMES = frozenset(
    {
        _("Customers to companies"),
        _("Articles to products"),
        _("Invoices to deals"),
        _("Fortnox customers create and update HubSpot companies."),
        _("Fortnox articles create and update HubSpot products."),
        _("Fortnox invoices become HubSpot deals with line items in the pipeline “Fortnox Invoices”."),
    }
)
"""What the presets are called and what they say of themselves, translated where they are offered."""

OBJECTS = frozenset(
    {_("customer"), _("article"), _("invoice"), _("company"), _("product"), _("deal"), _("line_item"), _("contact")}
)
"""What people call the objects of both sides, translated where a flow shows them."""
