"""What walks of all addresses share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import requests


@pytest.fixture
def quiet() -> Iterator[None]:
    """Thousands of refusals, each with its traceback in the log, are a fifth of a walk."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No vendor is reached, at once."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise requests.ConnectionError("the walk asks nobody")

    monkeypatch.setattr(requests.Session, "request", refused)
    monkeypatch.setattr(requests.Session, "send", refused)
