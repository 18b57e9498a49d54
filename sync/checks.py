"""System checks that refuse settings under which work would be done twice, lost, or by anybody (trust A0.2, R-25).

Each refusal says the number, why it is unsafe, and what to set. They run with `manage.py check`, at deploy, and before
a worker starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.core.exceptions import ImproperlyConfigured

from integrations.fields import key_ring
from sync.queue import BUDGET_SECONDS

MONITOR_LAG_SECONDS = 60
GUARDED_BROKER = "sync.broker.GuardedORM"


@register()
def queue_settings(app_configs: Any, **kwargs: Any) -> list[Error]:
    """Refuse unsafe queue settings, for the default cluster and every alternative one."""
    base = dict(settings.Q_CLUSTER)
    clusters = {"default": base} | {name: base | overrides for name, overrides in base.get("ALT_CLUSTERS", {}).items()}
    errors = [error for name, conf in clusters.items() for error in _cluster(name, conf)]
    if "bulk" not in clusters:
        errors.append(_error(1, "Q_CLUSTER has no ALT_CLUSTERS['bulk']: people would wait behind imports.", "Add it."))
    return [*errors, *_shared(base), *_database(), *_protocol(), *_secrets()]


def _error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"ledgerbridge.E{number:03d}")


def _cluster(name: str, conf: dict[str, Any]) -> Iterator[Error]:
    timeout, workers = conf.get("timeout"), conf.get("workers") or 1
    limit = conf.get("queue_limit") or workers**2
    if not isinstance(timeout, int) or timeout <= BUDGET_SECONDS:
        yield _error(
            2, f"{name}: timeout is {timeout}; a drain takes up to {BUDGET_SECONDS} s and would be killed in its work.",
            f"Set an integer above {BUDGET_SECONDS}.",
        )  # fmt: skip
        return
    needed = timeout * (1 + ceil((limit + conf.get("bulk", 1)) / workers)) + MONITOR_LAG_SECONDS
    if conf.get("retry", 0) < needed:
        yield _error(
            3, f"{name}: retry {conf.get('retry')} is below {needed}: a second worker would start the same task.",
            f"Set it to timeout × (1 + ⌈(queue_limit + bulk) / workers⌉) + {MONITOR_LAG_SECONDS} = {needed} or more.",
        )  # fmt: skip
    if limit > workers:
        yield _error(
            4, f"{name}: queue_limit {limit} is above workers {workers}: leases run out while tasks wait in memory.",
            "Set queue_limit to the number of workers.",
        )  # fmt: skip


def _shared(conf: dict[str, Any]) -> Iterator[Error]:
    if conf.get("save_limit", 250) != -1:
        yield _error(5, "save_limit is not -1: every result locks all kept results.", "Set save_limit to -1.")
    if conf.get("catch_up", True):
        yield _error(6, "catch_up is on: an outage of a day becomes 1,440 ticks.", "Set catch_up to False.")
    if not conf.get("max_attempts") or not conf.get("ack_failures"):
        yield _error(
            7, "A failing task would repeat for ever.", "Set max_attempts to 1 and ack_failures to True: we retry."
        )
    if conf.get("guard_cycle", 0.5) not in (0.25, 0.5, 1, 1.0):
        yield _error(
            8, "guard_cycle must divide evenly: the guard tests for exactly zero and would never kill a hung worker.",
            "Set guard_cycle to 0.25, 0.5 or 1.",
        )  # fmt: skip
    if conf.get("broker_class") != GUARDED_BROKER:
        yield _error(9, "The broker would run any Python callable.", f"Set broker_class to {GUARDED_BROKER}.")
    if conf.get("sync"):
        yield _error(10, "sync is on: tasks would run inside web requests.", "Remove it.")
    if conf.get("name") in (None, "", "default"):
        yield _error(11, "The cluster's name is its signing salt and must be ours.", "Set name to ledgerbridge.")


def _database() -> Iterator[Error]:
    database = settings.DATABASES["default"]
    if database.get("OPTIONS", {}).get("pool"):
        yield _error(
            12, "A connection pool is on: forked workers would read each other's answers.", "Remove OPTIONS['pool']."
        )
    if database.get("CONN_MAX_AGE") == 0:
        yield _error(13, "CONN_MAX_AGE is 0: the queue reconnects at every operation.", "Set it to 600.")
    if "sqlite3" in database["ENGINE"] and database.get("OPTIONS", {}).get("transaction_mode") != "IMMEDIATE":
        yield _error(
            14, "SQLite's transactions would fail half-way with “database is locked”.",
            "Set OPTIONS['transaction_mode'] to IMMEDIATE.",
        )  # fmt: skip


def _protocol() -> Iterator[Error]:
    least = settings.HTTP_TIMEOUT_SECONDS + settings.REMOTE_LATENESS_SECONDS + settings.SEARCH_LAG_SECONDS
    if least > settings.SETTLE_SECONDS:
        yield _error(
            15, f"SETTLE_SECONDS {settings.SETTLE_SECONDS} is below {least}: a late document would be made twice.",
            "Set it to at least the client's timeout + the server's lateness + the search index's lag.",
        )  # fmt: skip
    if settings.LOOK_AGAIN_SECONDS < settings.SEARCH_LAG_SECONDS:
        yield _error(
            19, f"LOOK_AGAIN_SECONDS {settings.LOOK_AGAIN_SECONDS} is below SEARCH_LAG_SECONDS "
            f"{settings.SEARCH_LAG_SECONDS}: the second search would repeat the first one's mistake.",
            "Set it to at least SEARCH_LAG_SECONDS.",
        )  # fmt: skip


def _secrets() -> Iterator[Error]:
    try:
        key_ring()
    except ImproperlyConfigured as error:
        yield _error(16, str(error), "Set FIELD_ENCRYPTION_KEYS, newest first, as `id:base64 of 32 bytes`.")
    if any(settings.SECRET_KEY in key for key in settings.FIELD_ENCRYPTION_KEYS):
        yield _error(17, "SECRET_KEY is used as encryption key.", "Make FIELD_ENCRYPTION_KEYS of its own.")
    if settings.PRODUCTION and not settings.PUBLIC_URL.startswith("https://"):
        yield _error(18, "PUBLIC_URL is not https: vendors refuse such redirect addresses.", "Set PUBLIC_URL.")
