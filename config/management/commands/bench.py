"""`make bench`: the benchmarks as a table and as JSON. Never part of the tests: speed is measured, not asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from config.bench.cases import CASES


class Command(BaseCommand):
    """Run each case in a process of its own, on a database of its own."""

    help = "Measure speed, calls and memory against the sandbox; prints a table and writes JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; all when empty")
        parser.add_argument("--scale", type=float, default=1.0, help="1 = the documented sizes")
        parser.add_argument("--json", default=str(Path(settings.VAR_DIR) / "bench.json"), help="where to write JSON")
        parser.add_argument("--one", help="run one case here and print its JSON (used by the parent)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["one"]:
            self.stdout.write("RESULT " + json.dumps(CASES[options["one"]](options["scale"])))
            return
        results: dict[str, Any] = {}
        for name in options["cases"] or CASES:
            self.stdout.write(f"{name}: {(CASES[name].__doc__ or '').splitlines()[0]}")
            results[name] = self._measure(name, options["scale"])
            if name == "P-11":
                larger = self._measure(name, options["scale"] * 5)
                growth = larger["peak_mb"] / results[name]["peak_mb"]
                results[name] |= {"larger": larger, "growth": growth}
            for key, value in results[name].items():
                self.stdout.write(
                    f"    {key:<38} {value:.3f}" if isinstance(value, float) else f"    {key:<38} {value}"
                )
        Path(options["json"]).write_text(json.dumps(results, indent=2))
        self.stdout.write(f"JSON: {options['json']}")

    def _measure(self, name: str, scale: float) -> dict[str, Any]:
        """One case in a child process with a fresh SQLite database and the sandbox allowed."""
        factor = 10.0 if name == "P-05" else 1.0
        with tempfile.TemporaryDirectory() as folder:
            env = os.environ | {
                "DATABASE_URL": os.environ.get("BENCH_DATABASE_URL", f"sqlite:///{folder}/bench.sqlite3"),
                "EXTRA_ALLOWED_HOSTS": "127.0.0.1,localhost",
                "LOG_LEVEL": "ERROR",
                "FORTNOX_RATE_SECONDS": str(5 / factor),
                "HUBSPOT_RATE_SECONDS": str(10 / factor),
                "HUBSPOT_SEARCH_RATE_SECONDS": str(1 / factor),
            }
            if name in ("P-11", "P-accounts"):
                env |= dict.fromkeys(("FORTNOX_RATE", "HUBSPOT_RATE", "HUBSPOT_SEARCH_RATE", "SALESFORCE_RATE"), "0")
            manage = [sys.executable, str(Path(settings.BASE_DIR) / "manage.py")]
            subprocess.run([*manage, "migrate", "-v0"], env=env, check=True)  # noqa: S603
            if "BENCH_DATABASE_URL" in os.environ:
                subprocess.run([*manage, "flush", "--no-input", "-v0"], env=env, check=True)  # noqa: S603
            command = [*manage, "bench", "--one", name, "--scale", str(scale)]
            done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)  # noqa: S603
        line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
        if line is None:
            raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return dict(json.loads(line.removeprefix("RESULT ")))
