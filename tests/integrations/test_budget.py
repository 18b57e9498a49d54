"""The shared budget: never more than the limit in any window, short waits for people, full use by bulk work."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import pytest
from django.db import connection, connections
from hypothesis import given
from hypothesis import strategies as st

from integrations import budget
from integrations.budget import Limit
from integrations.errors import RateLimited
from integrations.models import ConnectedAccount, RateBudget
from tests.integrations.clients import set_vendor

FORTNOX = Limit(25, 5.0)
SCALED = Limit(25, 0.5)


def _drain(key: str, limit: Limit, lane: str = "interactive") -> int:
    taken = 0
    while budget.take(key, limit, lane=lane) and taken < 1000:
        taken += 1
    return taken


def _most_in_a_window(times: Iterable[float], seconds: float) -> int:
    hits = sorted(times)
    return max(sum(1 for other in hits[i:] if other < hit + seconds) for i, hit in enumerate(hits))


def _row(key: str) -> None:
    budget._clock_and_row(key)


@pytest.mark.django_db
def test_a_person_may_use_the_whole_limit_and_not_one_more() -> None:
    _row("a")
    assert _drain("a", FORTNOX) == 25


@pytest.mark.django_db
def test_bulk_bursts_to_a_part_of_the_limit_and_is_paced_after_that() -> None:
    _row("a")
    assert _drain("a", FORTNOX, "bulk") == FORTNOX.burst == 10


@pytest.mark.django_db
def test_slots_are_taken_all_or_none() -> None:
    _row("a")
    assert budget.take("a", FORTNOX, 20, lane="interactive")
    assert not budget.take("a", FORTNOX, 6, lane="interactive")
    assert budget.take("a", FORTNOX, 5, lane="interactive")
    assert len(RateBudget.objects.get(key="a").hits) == 25


@pytest.mark.django_db
def test_a_block_larger_than_the_burst_is_given_on_an_empty_log() -> None:
    _row("a")
    assert budget.take("a", FORTNOX, 15)


@pytest.mark.django_db
def test_a_pause_stops_everybody_and_is_not_shortened() -> None:
    budget.pause("a", 60)
    budget.pause("a", 1)
    with pytest.raises(RateLimited) as caught:
        budget.wait_and_take("a", FORTNOX, patience=5)
    assert 55 < (caught.value.retry_after or 0) <= 60


@pytest.mark.django_db
def test_a_person_raises_the_reserve_that_bulk_leaves_free() -> None:
    _row("a")
    budget.wait_and_take("a", FORTNOX, lane="interactive")
    assert not budget.take("a", FORTNOX, 20)  # 1 + 20 would leave less than the reserve of 5
    assert budget.take("a", FORTNOX, 19, lane="interactive")
    assert not budget.take("a", FORTNOX)


@pytest.mark.django_db
def test_without_a_limit_nothing_is_asked_of_the_database(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        assert budget.wait_and_take("a", Limit(0, 1.0)) == 0
        assert budget.wait_and_take("a", Limit(1_000_000, 5.0)) == 0


@pytest.mark.django_db
def test_a_slot_costs_one_statement(django_assert_num_queries) -> None:  # type: ignore[no-untyped-def]
    _row("a")
    with django_assert_num_queries(1):
        budget.take("a", FORTNOX, lane="interactive")


def test_keys_name_the_vendors_own_limits(settings) -> None:  # type: ignore[no-untyped-def]
    set_vendor(settings, "fortnox", client_id="cid")
    assert budget.key_of(ConnectedAccount(system="fortnox", remote_id="77")) == "fortnox:cid:77"
    portal = ConnectedAccount(system="hubspot", remote_id="9")
    assert budget.key_of(portal) == "hubspot:9"
    assert budget.key_of(portal, "search") == "hubspot:9:search"


def test_a_smaller_limit_in_the_headers_lowers_ours_and_a_larger_one_does_not() -> None:
    configured = Limit(110, 10.0)
    budget.observe("k", configured, 190, 10.0)
    assert budget.limit_of("hubspot", key="k").count == 110
    budget.observe("k", configured, 100, 10.0)
    assert budget.limit_of("hubspot", key="k").count == 100


@given(
    st.lists(st.floats(0, 6), max_size=25), st.integers(1, 5), st.sampled_from(["bulk", "interactive"]), st.booleans()
)
def test_after_the_announced_wait_the_slots_are_there(hits: list[float], n: int, lane: str, held: bool) -> None:
    now = 6.0
    wait = budget.wait_for(FORTNOX, hits, now, n=n, lane=lane, held=held)
    assert 0 <= wait <= FORTNOX.window
    later = now + wait + 1e-6
    used = [h for h in hits if h > later - FORTNOX.window]
    assert len(used) + n <= 25 - (5 if held and lane == "bulk" else 0)


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from(["bulk", "interactive"])), min_size=30, max_size=120))
def test_no_order_of_arrivals_puts_more_than_the_limit_into_a_window(arrivals: list[tuple[float, str]]) -> None:
    now, hits = 0.0, []
    for pause, lane in arrivals:
        now += pause
        now += budget.wait_for(FORTNOX, hits, now, lane=lane) + 1e-9
        hits.append(now)
    assert _most_in_a_window(hits, 5.0) <= 25


def _hammer(key: str, limit: Limit, until: float, hits: set[float], lane: str = "bulk") -> None:
    """Take slots until then; `hits` are the times that the database gave them, not when a busy machine noticed."""
    try:
        while time.time() < until:
            budget.wait_and_take(key, limit, lane=lane, patience=60)
            hits.update(RateBudget.objects.get(key=key).hits)
    finally:
        connections.close_all()


@pytest.mark.django_db(transaction=True)
def test_threads_share_one_limit_exactly() -> None:
    _row("a")
    hits: set[float] = set()
    started = time.time()
    seconds = 4.0
    threads = [threading.Thread(target=_hammer, args=("a", SCALED, started + seconds, hits)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert _most_in_a_window(hits, SCALED.seconds) <= 25
    assert len(hits) >= 0.5 * 25 * seconds / SCALED.seconds  # a busy machine; `make bench` measures how full it is


@pytest.mark.django_db(transaction=True)
def test_a_person_waits_less_than_a_second_while_bulk_uses_the_limit() -> None:
    _row("a")
    limit = Limit(25, 2.5)
    hits: set[float] = set()
    until = time.time() + 4.5
    threads = [threading.Thread(target=_hammer, args=("a", limit, until, hits)) for _ in range(3)]
    for thread in threads:
        thread.start()
    waits = []
    time.sleep(1.5)
    while time.time() < until - 0.3:
        waits.append(budget.wait_and_take("a", limit, lane="interactive"))
        time.sleep(0.3)
    for thread in threads:
        thread.join()
    assert sorted(waits)[len(waits) // 2] < 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_processes_share_one_limit_on_postgresql() -> None:
    import multiprocessing

    _row("a")
    connections.close_all()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def work() -> None:
        hits: set[float] = set()
        _hammer("a", SCALED, time.time() + 3.0, hits)
        queue.put(hits)

    processes = [context.Process(target=work) for _ in range(3)]
    for process in processes:
        process.start()
    hits = {hit for _ in processes for hit in queue.get(timeout=60)}
    for process in processes:
        process.join()
    assert connection.vendor == "postgresql"
    assert _most_in_a_window(hits, SCALED.seconds) <= 25
    assert len(hits) >= 0.5 * 25 * 3.0 / SCALED.seconds
