"""Fixtures that more than one room uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mappings.models import compiling
from tests.tiny_world import TinyWorld


@pytest.fixture(autouse=True)
def fresh_compiled_mappings() -> None:
    """A test that is rolled back gives its primary keys to the next one; compiled mappings must not survive it."""
    compiling._cache.clear()


@pytest.fixture
def tiny(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TinyWorld]:
    """Builds a world of two tiny systems and one flow between them: `world = tiny(page_size=5)`."""
    return lambda **options: TinyWorld(monkeypatch, **options)
