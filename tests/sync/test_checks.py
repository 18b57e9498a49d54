"""R-25: every unsafe setting is refused by `check`, with its reason and what to set."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.checks import run_checks

from sync.checks import queue_settings

UNSAFE: list[tuple[str, dict[str, Any]]] = [
    ("E001", {"ALT_CLUSTERS": {}}),
    ("E002", {"timeout": 30}),
    ("E002", {"timeout": None}),
    ("E003", {"retry": 61}),
    ("E004", {"queue_limit": 4, "retry": 1000}),
    ("E004", {"queue_limit": None, "workers": 4, "retry": 1000}),
    ("E005", {"save_limit": 250}),
    ("E006", {"catch_up": True}),
    ("E007", {"max_attempts": 0}),
    ("E007", {"ack_failures": False}),
    ("E008", {"guard_cycle": 0.3}),
    ("E009", {"broker_class": "django_q.brokers.orm.ORM"}),
    ("E010", {"sync": True}),
    ("E011", {"name": "default"}),
]


def ids(errors: list[Any]) -> set[str]:
    return {error.id.removeprefix("ledgerbridge.") for error in errors}


def test_the_settings_as_shipped_are_safe() -> None:
    assert queue_settings(None) == []


@pytest.mark.parametrize(("expected", "change"), UNSAFE)
def test_an_unsafe_queue_setting_is_refused(settings: LazySettings, expected: str, change: dict[str, Any]) -> None:
    settings.Q_CLUSTER = copy.deepcopy(settings.Q_CLUSTER) | change
    errors = queue_settings(None)
    assert expected in ids(errors)
    assert all(error.hint for error in errors)


@pytest.mark.parametrize(
    ("expected", "change"),
    [
        ("E012", {"OPTIONS": {"pool": True, "transaction_mode": "IMMEDIATE"}}),
        ("E013", {"CONN_MAX_AGE": 0}),
        ("E014", {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}}),
    ],
)
def test_an_unsafe_database_setting_is_refused(settings: LazySettings, expected: str, change: dict[str, Any]) -> None:
    settings.DATABASES = {"default": dict(settings.DATABASES["default"]) | change}
    assert expected in ids(queue_settings(None))


def test_a_settle_time_below_what_the_remote_needs_is_refused(settings: LazySettings) -> None:
    settings.SETTLE_SECONDS = 119
    assert ids(queue_settings(None)) == {"E015"}


def test_a_second_search_before_the_index_can_have_caught_up_is_refused(settings: LazySettings) -> None:
    settings.LOOK_AGAIN_SECONDS = settings.SEARCH_LAG_SECONDS - 1
    assert ids(queue_settings(None)) == {"E019"}


@pytest.mark.parametrize("keys", [[], ["k1:c2hvcnQ="], ["not a key"]])
def test_unusable_encryption_keys_are_refused(settings: LazySettings, keys: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = keys
    assert "E016" in ids(queue_settings(None))


def test_the_secret_key_is_not_an_encryption_key(settings: LazySettings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [f"k1:{settings.SECRET_KEY}"]
    assert "E017" in ids(queue_settings(None))


@pytest.mark.django_db
def test_the_checks_run_with_djangos_own() -> None:
    assert not [error for error in run_checks() if error.id and error.id.startswith("ledgerbridge")]
