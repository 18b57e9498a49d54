"""Sandboxes that several test modules share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integrations.salesforce_packaged import SMALL, deploy
from tests.sandbox_process import SandboxProcess


@pytest.fixture(scope="session")
def salesforce_sandbox() -> Iterator[SandboxProcess]:
    """Two orgs with our package in them; what tests leave there has keys of their own."""
    with SandboxProcess(*SMALL) as process:
        deploy(process)
        deploy(process, 1)
        yield process
