"""One storm on an empty, migrated database: `python -m tests.end_to_end.storm --operations 10000 --kills 200`.

Prints the report for people and `RESULT` with JSON for `make bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path


def main() -> None:
    """Run what the options say; exit code 1 when an invariant is violated."""
    import django

    django.setup()
    from django.db import connection

    from tests.end_to_end.storm.harness import describe, run
    from tests.end_to_end.storm.world import FAULTS, Plan
    from tests.sandbox_process import SandboxProcess

    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--operations", type=int, default=10_000)
    command.add_argument("--kills", type=int, default=200)
    command.add_argument("--seed", type=int, default=1)
    command.add_argument("--workers", type=int, default=4 if connection.vendor == "sqlite" else 10)
    command.add_argument("--naive", action="store_true", help="the negative control")
    options = vars(command.parse_args())
    with SandboxProcess("--no-limits", "--empty") as sandbox, tempfile.TemporaryDirectory() as folder:
        report = run(sandbox, Plan(faults=FAULTS, **options), Path(folder) / "workers.log")
    print(f"{describe()}: {report}")
    print("RESULT " + json.dumps(vars(report)))
    if report.violations:
        raise SystemExit(1)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    main()
