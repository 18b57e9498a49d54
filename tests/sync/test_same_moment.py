"""Two of our processes plan one record in the same moment: whoever comes second looks again, and no fault is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError

from sync.engine import again, run
from sync.models import Change, SyncRun
from tests.tiny_world import TinyWorld

pytestmark = pytest.mark.django_db


def clashing(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, times: int) -> None:
    """The next calls find that somebody else stored a plan of the record first."""
    real, left = getattr(module, name), [times]

    def call(*args: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise IntegrityError("change_one_open_per_record")
        return real(*args, **more)

    monkeypatch.setattr(module, name, call)


def test_a_scan_plans_the_page_again(tiny: Callable[..., TinyWorld], monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny()
    world.customer(1)
    clashing(monkeypatch, run, "store", 1)
    world.sync()
    scan = SyncRun.objects.get()
    assert (scan.state, scan.failures, scan.seen, scan.counts) == ("done", 0, 1, {"create": 1})
    assert len(world.companies()) == 1


def test_a_retry_waits_a_moment_and_is_no_bug(tiny: Callable[..., TinyWorld], monkeypatch: pytest.MonkeyPatch) -> None:
    world = tiny(enabled=True)
    world.customer(1)
    world.sync()
    Change.objects.update(state="retrying", replan=True)
    clashing(monkeypatch, again, "plan_ids", 2)
    for _again in range(2):
        world.later()
        run.work(world.flow)
        assert Change.objects.get().state == "retrying"
    world.later()
    run.work(world.flow)
    assert not Change.objects.filter(state__in=["retrying", "review"]).exists()


def test_what_never_stops_clashing_is_shown_to_a_person(
    tiny: Callable[..., TinyWorld], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = tiny()
    world.customer(1)
    world.sync()
    Change.objects.update(state="retrying", replan=True)
    clashing(monkeypatch, again, "plan_ids", 100)
    for _again in range(12):
        world.later()
        run.work(world.flow)
    assert Change.objects.get().state == "review"
