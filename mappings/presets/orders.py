"""The match orders that a consultant may choose from when flows are added: key, name, what it means."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

ORDERS = [
    (
        "default",
        gettext_lazy("Safest"),
        gettext_lazy("By Fortnox ID, then organisation number, then e-mail domain. A name is only ever suggested."),
    ),
    (
        "previous_app",
        gettext_lazy("As the previous app did"),
        gettext_lazy("By name first, then Fortnox ID, then domain. A namesake may be taken for the same company."),
    ),
]
