"""The process-bound lock: one holder, and none left behind by a killed process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest
from django.db import connection

from integrations.locks import process_lock, still_held

HOLDER = """
import os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[2]
from integrations.locks import process_lock
with process_lock(sys.argv[1]) as mine:
    print("held" if mine else "refused", flush=True)
    if mine:
        time.sleep(60)
"""

pytestmark = pytest.mark.django_db(transaction=True)


def holder(name: str) -> subprocess.Popen[str]:
    """A real process that asks for the lock and keeps it for a minute."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, name, str(connection.settings_dict["NAME"])],
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_second_process_is_refused_and_a_killed_holder_leaves_nothing_behind() -> None:
    name = f"test:{uuid.uuid4()}"
    first = holder(name)
    assert said(first) == "held"
    second = holder(name)
    assert said(second) == "refused"
    second.wait(60)
    with process_lock(name) as mine:
        assert not mine
    os.kill(first.pid, signal.SIGKILL)
    first.wait(60)
    with process_lock(name, wait=5) as mine:
        assert mine
        assert still_held(name)
    assert not still_held(name)


def test_a_frozen_holder_keeps_its_lock() -> None:
    name = f"test:{uuid.uuid4()}"
    first = holder(name)
    try:
        assert said(first) == "held"
        os.kill(first.pid, signal.SIGSTOP)
        with process_lock(name, wait=0.3) as mine:
            assert not mine
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait(60)


def test_asking_twice_in_one_thread_is_refused_loudly() -> None:
    name = f"test:{uuid.uuid4()}"
    with process_lock(name) as mine:
        assert mine
        with pytest.raises(RuntimeError, match="already held"), process_lock(name):
            pass  # pragma: no cover
        assert still_held(name)


def test_another_thread_waits_for_its_turn() -> None:
    name = f"test:{uuid.uuid4()}"
    order: list[str] = []

    def second() -> None:
        with process_lock(name, wait=5) as mine:
            order.append(f"second {mine}")
        connection.close()

    with process_lock(name):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first leaves")
    thread.join(60)
    assert order == ["first leaves", "second True"]


def test_different_names_do_not_disturb_each_other() -> None:
    with process_lock(f"a:{uuid.uuid4()}") as one, process_lock(f"b:{uuid.uuid4()}") as two:
        assert one
        assert two


def test_the_lock_outlives_djangos_own_connection() -> None:
    name = f"test:{uuid.uuid4()}"
    with process_lock(name) as mine:
        assert mine
        connection.close()  # what close_old_connections does between tasks
        assert still_held(name)
        second = holder(name)
        assert said(second) == "refused"
        second.wait(60)
