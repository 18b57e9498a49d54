"""Cursors without loss: random edits seen late, one stamp over many pages, lists that shift, the nights of the clock.

The reader is the real Fortnox connector; the writer is a person in Fortnox's pages. The negative control shows that
the harness finds what a naive cursor loses.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.connectors import connector_for
from integrations.fortnox import client, times
from tests.end_to_end.world import World

Build = Callable[..., World]
pytestmark = pytest.mark.soak
FIELDS = {"customer": frozenset({"CustomerNumber", "City"})}
LAG = 3


@dataclass
class Reader:
    """A mirror that is kept only by delta scans, and what they cost."""

    world: World
    cursor: str | None = None
    mirror: dict[str, Any] = field(default_factory=dict)
    fetched: int = 0
    changes: int = 0

    def scan(self, between: Callable[[], None] = lambda: None) -> int:
        """One scan from the cursor, `between` its pages something may happen; how many records it gave."""
        given = 0
        pages = connector_for(self.world.ledger).changed("customer", self.cursor, FIELDS)
        for page in pages:
            for record in page.records:
                self.mirror[record.id] = record.fields["City"]
            given += len(page.records)
            self.cursor = page.cursor or self.cursor
            between()
        self.fetched += given
        return given

    def edit(self, number: str, city: str) -> None:
        """A change that some scan must see."""
        self.world.edit("customers", number, City=city)
        self.changes += 1

    def stale(self) -> dict[str, tuple[Any, Any]]:
        """Customers whose city the mirror does not know: (mirror, Fortnox)."""
        truth = {c["CustomerNumber"]: c["City"] for c in self.world.fortnox("customers")}
        return {k: (self.mirror.get(k), city) for k, city in truth.items() if self.mirror.get(k) != city}


def vendor_time(world: World) -> datetime:
    """The vendor's clock."""
    return datetime.fromisoformat(world.sandbox.control("POST", "/clock", {"advance_seconds": 0})["now"])


def lagging(world: World) -> None:
    """A fifth of the time a change becomes visible late."""
    world.sandbox.control("POST", "/settings", {"visibility_lag": LAG})


def soak(reader: Reader, dice: random.Random, *, cycles: int, scan: Callable[[], object]) -> None:
    """Cycles of half an hour with edits at any moment, the last of them just before the scan."""
    numbers = [str(n) for n in range(1, 200)]
    for cycle in range(cycles):
        for position in range(10):
            reader.world.sandbox.control("POST", "/clock", {"advance_seconds": dice.uniform(0, 358)})
            for _again in range(dice.randint(1, 2)):
                reader.edit(dice.choice(numbers), f"Ort {cycle}.{position}.{_again}")
        reader.world.pass_time(seconds=dice.choice((0, 0, 1, 2, 30)))
        scan()
    reader.world.pass_time(minutes=30)
    scan()


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_random_edits_seen_late_are_never_lost(world: Build, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 5)
    dice, there = random.Random(seed), world(customers=200, seed=seed)
    lagging(there)
    there.pass_time(days=seed - 1)  # our own clock is behind by days
    reader = Reader(there)
    reader.scan()
    reader.fetched = 0
    victims = iter(range(201, 1_000))

    def deletes() -> None:
        """Somebody makes and deletes a customer while the pages are read."""
        if dice.random() < 0.1:
            number = str(next(victims))
            there.edit("customers", number, Name="Kort liv AB")
            if dice.random() < 0.7:
                there.delete("customers", number)
            reader.changes += 1

    soak(reader, dice, cycles=20, scan=lambda: reader.scan(deletes))
    assert reader.stale() == {}
    assert reader.fetched / reader.changes <= 1.6


def test_the_harness_finds_what_a_cursor_from_our_own_clock_loses(world: Build) -> None:
    """Negative control: the local clock at the end of the run, a few seconds fast, without overlap."""
    dice, there = random.Random(7), world(customers=200)
    lagging(there)
    reader = Reader(there)
    reader.scan()
    fortnox = connector_for(there.ledger)
    since = vendor_time(there)

    def naive() -> None:
        nonlocal since
        local = since.astimezone(times.STOCKHOLM).strftime("%Y-%m-%d %H:%M:%S")
        found = fortnox.api.call("GET", "/3/customers", params={"lastmodified": local, "limit": "500"}).data
        reader.mirror |= {row["CustomerNumber"]: row["City"] for row in found["Customers"]}
        since = vendor_time(there) + timedelta(seconds=5)

    soak(reader, dice, cycles=12, scan=naive)
    assert len(reader.stale()) >= 3


def test_one_stamp_over_many_pages_loses_nothing(world: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 30)
    there = world(customers=300)
    reader = Reader(there)
    reader.scan()
    there.pass_time()
    there.sandbox.control("POST", "/settings", {"time_factor": 0.000_001})  # the vendor's clock stands still
    for number in range(1, 151):
        reader.edit(str(number), "Samma sekund")
    assert reader.scan() == 150
    for number in range(151, 301):
        reader.edit(str(number), "Samma sekund")
    reader.scan()  # from the very second that the last scan ended in
    assert reader.stale() == {}
    assert set(reader.mirror.values()) == {"Samma sekund"}


def test_a_list_that_shifts_while_it_is_read_is_read_at_most_once_more(
    world: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_SIZE", 10)
    there = world(customers=400)
    dice, reader, turns = random.Random(11), Reader(there), iter(range(10_000))
    new = iter(range(1_000, 2_000))

    def shift() -> None:
        turn = next(turns)
        if turn in (3, 9, 15, 22):
            live = [c["CustomerNumber"] for c in there.fortnox("customers")]
            there.delete("customers", dice.choice(live[:60]))
        elif turn in (5, 12, 30):
            there.edit("customers", str(next(new)), Name="Ny AB", City="Ny")

    mark = there.mark()
    reader.scan(shift)
    assert there.calls(mark)["fortnox customers list"] <= 2 * 41
    assert reader.cursor is not None
    assert reader.stale() == {}


@pytest.mark.parametrize("night", ["2027-03-28T00:00:00+00:00", "2027-10-31T00:00:00+00:00"])
def test_nothing_is_lost_in_the_nights_when_the_clocks_change(world: Build, night: str) -> None:
    there = world(customers=100)
    start = datetime.fromisoformat(night) - timedelta(minutes=30)
    there.pass_time(seconds=(start - datetime.now(UTC)).total_seconds())
    reader = Reader(there)
    reader.scan()
    for step in range(20):  # three hours and more, across the change at 01:00 UTC
        for number in range(1, 5):
            reader.edit(str(step * 4 + number), f"Natt {step}")
        there.pass_time(minutes=10)
        reader.scan()
        assert reader.stale() == {}
