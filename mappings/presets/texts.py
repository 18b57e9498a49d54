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
