"""R-01 to R-06: however workers die and answers get lost, every wish becomes one document, linked, with its number."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from sync.engine.failpoints import PLACES
from tests.end_to_end.storm.harness import Report, describe, run
from tests.end_to_end.storm.world import FAULTS, Plan
from tests.sandbox_process import SandboxProcess

pytestmark = [pytest.mark.soak, pytest.mark.django_db(transaction=True)]
Storm = Callable[..., Report]
SHARE = float(os.environ.get("STORM_SHARE", "1"))
postgres_only = pytest.mark.skipif("postgres" not in os.environ.get("DATABASE_URL", ""), reason="many writers at once")


@pytest.fixture(scope="module")
def ledger() -> Iterator[SandboxProcess]:
    """A sandbox of its own: it is reset and hurt."""
    with SandboxProcess("--no-limits", "--empty") as process:
        yield process


@pytest.fixture
def storm(transactional_db: None, ledger: SandboxProcess, tmp_path: Path, capsys: Any) -> Storm:
    """Runs a plan; sizes are those of a PostgreSQL server, SQLite has one writer and gets a fifth.

    `STORM_SHARE=0.3` makes the great storms that much smaller, for machines that share their processors."""

    def start(operations: int, **options: Any) -> Report:
        if operations > 1_000:
            operations = int(operations * SHARE)
            options = {**options, "kills": int(options.get("kills", 0) * SHARE)}
        lite = connection.vendor == "sqlite"
        if lite:
            operations //= 5
            options = {**options, "workers": min(options.get("workers", 10), 4), "kills": options.get("kills", 0) // 5}
        plan = Plan(operations, seed=int(os.environ.get("STORM_SEED", "1")), **options)
        report = run(ledger, plan, tmp_path / "workers.log")
        with capsys.disabled():
            print(f"\n  {describe()}: {report}")
        return report

    return start


def all_is_well(report: Report, *, applied: float = 0.98) -> None:
    """No duplicate, nothing lost, every wish applied or with a person, INV1 to INV6. A wish that met two deaths or
    faults in a row may end with a person; most must not."""
    assert report.violations == {}, str(report)
    assert report.duplicates == 0
    assert report.states.get("applied", 0) + report.states.get("review", 0) == report.operations
    assert report.states["applied"] >= applied * report.operations, "a storm must not become people's work"


def test_r01_kills_and_faults_make_no_duplicate_and_lose_nothing(storm: Storm) -> None:
    report = storm(10_000, faults=FAULTS, kills=200)
    all_is_well(report)
    assert report.kills >= 20 * min(SHARE, 1) and set(report.faults) == set(FAULTS)


def test_r05_the_naive_variant_makes_duplicates_in_the_same_storm(storm: Storm) -> None:
    report = storm(10_000, faults=FAULTS, kills=200, naive=True)
    assert report.duplicates >= (1_000 if report.operations == 10_000 else report.operations / 10)


@postgres_only
def test_r02_a_worker_frozen_between_its_last_look_and_the_socket_makes_nothing_twice(storm: Storm) -> None:
    report = storm(600, faults=FAULTS, failpoints="send.checked:freeze=9@0.005")
    all_is_well(report)


@postgres_only
def test_r03_stopped_and_killed_workers_make_nothing_twice(storm: Storm) -> None:
    report = storm(600, faults=FAULTS, kills=24, stops=20)
    all_is_well(report)
    assert report.stops >= 10


@postgres_only
def test_r04_a_lagging_search_makes_nothing_twice(storm: Storm) -> None:
    report = storm(600, faults=FAULTS, kills=24, reference_lag=1.5, search_lag=2, settle=7)
    all_is_well(report)


def test_r04_a_settle_time_below_timeout_lateness_and_lag_is_refused_at_start(storm: Storm) -> None:
    assert storm(10, settle=3).refused.startswith("ledgerbridge.E015")
    assert storm(10, search_lag=3).refused.startswith("ledgerbridge.E015")


def test_r06_a_death_at_every_step_of_the_protocol_makes_nothing_twice(storm: Storm) -> None:
    lite = connection.vendor == "sqlite"
    each = int(os.environ.get("STORM_DEATHS", "3" if lite else "10"))
    more = {kind: 2 * share for kind, share in FAULTS.items()}  # a failure must be met before one can die in it
    report = storm(each * (300 if lite else 60), faults=more, each_place=each)
    all_is_well(report, applied=0.9)
    assert set(report.hits) == set(PLACES), f"not reached: {set(PLACES) - set(report.hits)}"
    assert sum(report.hits.values()) >= 0.6 * each * len(PLACES)
