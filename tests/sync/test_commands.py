"""The commands that consultants and scripts use: sync, plan, apply, replay."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from integrations.errors import InvalidData, Misconfigured
from sync.models import Change, SyncRun
from tests.tiny import failing
from tests.tiny_world import TinyWorld

World = Callable[..., TinyWorld]


def run(*arguments: Any, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_sync_runs_one_flow_to_its_end_and_says_so(tiny: World) -> None:
    world = tiny(page_size=2)
    for number in range(1, 6):
        world.customer(number)
    text = run("sync", world.flow.pk)
    assert "5 records read, 5 create" in text and "5 applied" in text
    assert len(world.companies()) == 5


def test_sync_answers_machines_in_json(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    data = json.loads(run("sync", world.flow.pk, as_json=True))
    assert (data["state"], data["planned"], data["delivered"]) == ("done", {"create": 1}, {"applied": 1})


def test_plan_writes_nothing_and_apply_delivers_it(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    data = json.loads(run("plan", world.flow.pk, as_json=True))
    assert data["state"] == "held" and world.companies() == {}
    again = json.loads(run("apply", data["run"], as_json=True))
    assert again["state"] == "done" and len(world.companies()) == 1


def test_apply_refuses_what_is_not_held(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    run("sync", world.flow.pk)
    with pytest.raises(CommandError, match="not held"):
        run("apply", SyncRun.objects.get().pk)


def test_apply_refuses_an_integration_that_only_observes(tiny: World) -> None:
    world = tiny()
    world.customer(1)
    world.integration.mode = "observe"
    world.integration.save()
    run("plan", world.flow.pk)
    with pytest.raises(CommandError, match="observes"):
        run("apply", SyncRun.objects.get().pk)


def test_replay_plans_failed_changes_again(tiny: World) -> None:
    world = tiny()
    world.customer(1, name="Bad")
    world.crm.refuse["Bad"] = InvalidData("no", code="E1")
    run("sync", world.flow.pk)
    world.crm.refuse.clear()
    assert json.loads(run("replay", error_class="permission", as_json=True)) == {"replayed": 0}
    assert json.loads(run("replay", code="E1", as_json=True)) == {"replayed": 1}
    run("sync", world.flow.pk)
    assert Change.objects.filter(state="applied").count() == 1


def test_an_unknown_flow_lists_those_there_are(tiny: World) -> None:
    world = tiny()
    with pytest.raises(CommandError, match=f"{world.flow.pk}  .*Customers"):
        run("sync", 999999)


def test_a_failed_run_exits_with_1_and_the_reason(tiny: World) -> None:
    world = tiny()
    world.ledger.faults.append(failing("list", Misconfigured("The scope is missing.", code="S1")))
    out = StringIO()
    with pytest.raises(SystemExit) as stopped:
        call_command("sync", world.flow.pk, stdout=out)
    assert stopped.value.code == 1
    assert "The scope is missing. [configuration S1]" in out.getvalue()
