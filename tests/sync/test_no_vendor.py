"""The engine's room names no vendor: not in code, comments, texts, templates or file names."""

from __future__ import annotations

from pathlib import Path

import pytest

from integrations.models import System

SYNC = Path(__file__).resolve().parents[2] / "sync"
# What a migration says was true when it was written, and is never edited.
FILES = [
    path for path in SYNC.rglob("*") if path.is_file() and not {"migrations", "__pycache__"} & set(path.parts)
]  # fmt: skip


def named(text: str) -> set[str]:
    """The vendors that a text names, in any spelling."""
    return {str(system.value) for system in System if system.value in text.casefold()}


def test_the_room_is_there_and_every_vendor_is_looked_for() -> None:
    assert len(FILES) > 80
    assert named("Fortnox, HUBSPOT and salesforce.com") == {"fortnox", "hubspot", "salesforce"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SYNC)))
def test_no_file_of_the_engine_names_a_vendor(path: Path) -> None:
    lines = [str(path.relative_to(SYNC)), *path.read_text(encoding="utf-8").splitlines()]
    assert [(number, line) for number, line in enumerate(lines) if named(line)] == []
