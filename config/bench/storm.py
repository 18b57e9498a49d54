"""R-01 as a benchmark: how many creates per second stay exactly once while workers die and answers get lost.

The storm itself is part of the tests, which know the sandbox's truth journal; here it is started as a program.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from django.conf import settings


def r01(scale: float) -> dict[str, Any]:
    """10,000 creates, each pressed twice, 20 % of eleven fault kinds, 200 kills: duplicates, lost, and how fast."""
    operations, kills = int(10_000 * scale), int(200 * scale)
    command = [sys.executable, "-m", "tests.end_to_end.storm", "--operations", str(operations), "--kills", str(kills)]
    done = subprocess.run(command, cwd=settings.BASE_DIR, check=False, capture_output=True, text=True)  # noqa: S603
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(done.stderr[-4000:])
    report = dict(json.loads(line.removeprefix("RESULT ")))
    ended = report["states"].get("applied", 0) + report["states"].get("review", 0)
    return {
        "operations": operations,
        "duplicates": report["duplicates"],
        "lost": operations - ended,
        "violations": report["violations"],
        "in_review": report["states"].get("review", 0),
        "kills": report["kills"],
        "faults": sum(report["faults"].values()),
        "verified": report["verified"],
        "wall_s": report["seconds"],
        "arrival_per_s": report["arrival"],
        "per_s": operations / report["seconds"],
    }
