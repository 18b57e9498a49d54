"""Conventions of this room that only a test keeps."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import translation

from mappings.expressions import MappingError
from mappings.expressions.documentation import document, shown
from mappings.expressions.functions import FUNCTIONS
from tests.mappings.world import value_of

ROOM = Path(settings.BASE_DIR) / "mappings"
SOURCES = [path for path in ROOM.rglob("*.py") if "migrations" not in path.parts]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOM)))
def test_nothing_is_executed_and_nothing_is_called_over_the_network(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])(?<!def )(eval|exec|compile|__import__)\(", text)
    assert not re.search(r"^\s*(import|from) (requests|urllib|http|socket|sync)\b", text, re.MULTILINE)


def test_the_function_reference_is_current() -> None:
    call_command("document_expressions", "--check")
    assert all(f"`{function.signature}`".replace("|", "\\|") in document() for function in FUNCTIONS.values())


def test_a_reference_that_is_not_current_is_reported(tmp_path: Path, settings: object) -> None:
    settings.BASE_DIR = tmp_path  # type: ignore[attr-defined]
    with pytest.raises(CommandError, match="not current"):
        call_command("document_expressions", "--check", stdout=StringIO())
    call_command("document_expressions")
    call_command("document_expressions", "--check")


def test_results_are_shown_as_people_write_them() -> None:
    assert [shown(v) for v in (True, "a", None)] == ["True", '"a"', "nothing"]


def test_a_problem_can_be_read_in_another_language_than_it_was_found_in() -> None:
    with translation.override("en"), pytest.raises(MappingError) as caught:
        value_of("1 / 0")
    with translation.override("sv"):
        assert isinstance(str(caught.value.message), str)
