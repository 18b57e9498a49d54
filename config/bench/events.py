"""How long it takes from an edit at one side to our write at the other, by events alone, with a real worker.

The measurement itself is part of the tests, which know the sandbox's journal of committed writes and its clock; here
it is started as a program, and what it prints is read.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from typing import Any

from django.conf import settings

TESTS = ("tests/end_to_end/test_events.py", "tests/end_to_end/test_salesforce_speed.py")
_LINE = re.compile(r"^(?P<what>.+): n=(?P<n>\d+) p50=(?P<p50>[\d.]+) s p95=(?P<p95>[\d.]+) s max=(?P<max>[\d.]+) s$")


def measure(scale: float) -> dict[str, Any]:
    """Seconds by direction. `over_limit` are the directions whose p95 is over the limit of their test.

    Raises RuntimeError when nothing was measured.
    """
    samples = max(int(50 * scale), 4)
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {"EVENT_SAMPLES": str(samples), "TEST_DATABASE": f"{folder}/events.sqlite3"}
        command = [sys.executable, "-m", "pytest", "-q", "-s", "-k", "within_seconds", *TESTS]
        done = subprocess.run(command, cwd=settings.BASE_DIR, env=env, check=False, capture_output=True, text=True)  # noqa: S603
    found = [match for line in done.stdout.splitlines() if (match := _LINE.match(line.strip()))]
    if not found:
        raise RuntimeError(done.stdout[-4000:])
    measured: dict[str, Any] = {"samples": samples}
    for one in found:
        measured[f"{one['what']} p50_s"] = float(one["p50"])
        measured[f"{one['what']} p95_s"] = float(one["p95"])
        measured[f"{one['what']} max_s"] = float(one["max"])
    return measured | {"directions": len(found), "over_limit": done.stdout.count("assert p95 <= LIMIT")}
