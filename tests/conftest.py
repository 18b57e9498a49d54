"""Fixtures that more than one room uses."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from django.conf import settings
from django.utils import translation

from mappings.models import compiling
from tests import emptying
from tests.tiny_world import TinyWorld


def pytest_configure() -> None:
    """Passwords of tests need not be safe: a safe hash costs a third of a second for every person that a test makes."""
    settings.AXES_ENABLED = False  # the brake has tests of its own
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    emptying.use_it()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a database and what really commits, and give tests against the real clock another try in CI.

    A test with threads, processes, a browser or real HTTP can lose against a machine that three lanes share; it is then
    reported as RERUN, with its first failure, and fails when it fails three times. Storms, and everything that cannot
    depend on the clock, get no second try.
    """
    for item in items:
        marker = item.get_closest_marker("django_db")
        if marker is not None or {"db", "transactional_db", "live_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.database)
        commits = marker is not None and marker.kwargs.get("transaction")
        if commits:
            item.add_marker(pytest.mark.commits)
        on_the_clock = item.get_closest_marker("browser") or commits or "sandbox" in getattr(item, "fixturenames", ())
        if "CI" in os.environ and on_the_clock and item.get_closest_marker("soak") is None:
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(autouse=True)
def fresh_compiled_mappings() -> None:
    """A test that is rolled back gives its primary keys to the next one; compiled mappings must not survive it."""
    compiling._cache.clear()


@pytest.fixture(autouse=True)
def our_language() -> None:
    """A page that an earlier test asked for in Swedish leaves its language with the thread."""
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture
def tiny(db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TinyWorld]:
    """Builds a world of two tiny systems and one flow between them: `world = tiny(page_size=5)`."""
    return lambda **options: TinyWorld(monkeypatch, **options)
