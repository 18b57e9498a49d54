"""Fixtures of the end-to-end tests: one sandbox process per module, a world per test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from integrations.hubspot import schema
from integrations.salesforce import described
from tests.end_to_end.salesforce_world import SalesforceWorld
from tests.end_to_end.world import World
from tests.integrations.clients import set_vendor
from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    """A sandbox without rate limits, shared by the tests of one module; every world resets it."""
    with SandboxProcess("--no-limits", "--empty") as process:
        yield process


@pytest.fixture(autouse=True)
def unlimited(settings: Any) -> Iterator[None]:
    """No rate limits on our side either, and the sandbox's host may be spoken to."""
    set_vendor(settings, "fortnox", rate=(0, 5.0))
    set_vendor(settings, "hubspot", rate=(0, 10.0), search_rate=(0, 1.0))
    set_vendor(settings, "salesforce", rate=(0, 5.0))
    settings.EXTRA_ALLOWED_HOSTS = ["127.0.0.1"]
    yield
    schema.clear_cache()
    described.clear_cache()


@pytest.fixture
def world(db: None, sandbox: SandboxProcess) -> Callable[..., World]:
    """Builds the world of a test: `world(customers=60, accounts=12)`."""
    return lambda **options: World(sandbox, **options)


@pytest.fixture
def org(db: None, sandbox: SandboxProcess) -> Callable[..., SalesforceWorld]:
    """Builds the world of a test around a Salesforce org that has our package: `world = org(customers=20)`."""
    return lambda **options: SalesforceWorld(sandbox, **options)
