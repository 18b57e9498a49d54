"""A failure says in the reader's language what stands in the way: in the month-end list, in a verdict, on its page."""

from __future__ import annotations

import pytest
from django.utils import translation

from sync.admin import log_words
from tests import factories as make

pytestmark = pytest.mark.django_db
WORDS = {"en": "Customer 14 has no counterpart yet.", "sv": "Kund 14 har ingen motsvarighet ännu."}


def test_a_failed_check_is_said_in_the_readers_language_and_a_vendors_words_as_they_came() -> None:
    checked = make.make_change(state="review", error_message=WORDS["en"], problems=[{"message": WORDS}])
    decided = make.make_change(state="review", error_message=WORDS["en"], reason=WORDS)
    refused = make.make_change(state="review", error_message="Fel värde.", problems=[])
    with translation.override("sv"):
        assert (checked.error_text, decided.error_text, refused.error_text) == (WORDS["sv"], WORDS["sv"], "Fel värde.")
    assert (checked.error_text, decided.error_text) == (WORDS["en"], WORDS["en"])


def test_the_log_is_read_in_the_readers_language_too() -> None:
    change = make.make_change(state="review", error_message=WORDS["en"], problems=[{"message": WORDS}])
    with translation.override("sv"):
        assert log_words.said(WORDS["en"], change) == WORDS["sv"]
        assert log_words.said("something that nobody translated", change) == "something that nobody translated"
    # What the states of the line say already is not said twice; names and numbers stay in their places.
    assert log_words.said("delivered") == ""
    assert log_words.said("replaced by run 12") == "replaced by run 12"
    assert log_words.said("dismissed by Eva: paid {twice}") == "dismissed by Eva: paid {twice}"
