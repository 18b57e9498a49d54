"""What Bokis refuses, as our errors: one table by its codes, one function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from integrations.catalogue import Entry, Responsible, explain, table
from integrations.errors import ErrorClass, OutcomeUnknown, SyncError
from tests.third_system.books import NoAnswer, Refused

CODES = table(
    "bokis",
    {
        "E04": Entry(ErrorClass.MISSING, "Bokis has no such record.", "Link the record again.", Responsible.CONSULTANT),
        "E20": Entry(ErrorClass.DATA, "The name is missing.", "Fill in the name.", Responsible.CRM_USER, field="name"),
        "E21": Entry(ErrorClass.CONFLICT, "The number is taken.", "Choose another number.", Responsible.CRM_USER),
        "E22": Entry(ErrorClass.DATA, "The customer is not there.", "Link the customer again.", Responsible.CONSULTANT),
        "E23": Entry(ErrorClass.DATA, "The customer is blocked.", "Unblock it in Bokis.", Responsible.ACCOUNTANT),
        "E24": Entry(ErrorClass.DATA, "The article is not there.", "Create the article.", Responsible.ACCOUNTANT),
        "E30": Entry(ErrorClass.CONFLICT, "The invoice is locked.", "Credit it.", Responsible.ACCOUNTANT),
    },
)


def classify(refused: Refused, record: str = "") -> SyncError:
    """What Bokis said, as one of our errors: by its code, never by its words."""
    known = CODES.get(refused.code) or explain("bokis", refused.code, refused.text)
    context = {"cause": known.cause, "remedy": known.remedy}
    return known.kind(
        refused.text, code=refused.code, field=refused.field or known.field, record=record, context=context
    )


@contextmanager
def asking(record: str = "") -> Iterator[None]:
    """Calls inside end in a reply, a classified error, or an outcome that nobody knows."""
    try:
        yield
    except Refused as refused:
        raise classify(refused, record) from None
    except NoAnswer as silence:
        raise OutcomeUnknown(str(silence), code="timeout") from None
