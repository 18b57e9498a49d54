"""`make demo`: the whole product on this machine, against the sandbox: connect, plan, approve, deliver, look around."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from config.demo import creating, salesforce, story, workplace
from config.demo.org import Org
from config.demo.processes import Processes, free_port

LIMIT_FACTOR = 10
"""How much faster the sandbox's rate limits recover: 500 invoice details take ten seconds instead of a hundred."""


class Command(BaseCommand):
    """Set up, connect over OAuth, run the first syncs through a real cluster, print what came of it, and serve."""

    help = "Run the whole product against the sandbox and print what it did. Ctrl-C stops everything."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--sandbox-port", type=int, default=9400)
        parser.add_argument("--customers", type=int, default=320)
        parser.add_argument("--articles", type=int, default=210)
        parser.add_argument("--invoices", type=int, default=520)
        parser.add_argument("--deals", type=int, default=12, help="deals that wait for an invoice")
        parser.add_argument("--no-serve", action="store_true", help="stop after the summary")

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        started = time.monotonic()
        sandbox_port, port = free_port(options["sandbox_port"]), free_port(options["port"])
        base = f"http://localhost:{port}"
        with Processes(Path(settings.VAR_DIR) / "demo") as processes:
            sizes = [f"--{name}={options[name]}" for name in ("customers", "articles", "invoices", "deals")]
            sizes += [f"--webhook-url={base}/webhooks/hubspot", f"--app-url={base}"]
            factor = f"--limit-factor={LIMIT_FACTOR}"
            processes.manage("sandbox", "sandbox", f"--port={sandbox_port}", factor, *sizes)
            processes.wait_for(f"http://localhost:{sandbox_port}/control/accounts")
            self._environment(processes, sandbox_port, base)
            self._database()
            person = story.make_person()
            processes.start(
                "web", sys.executable, "-m", "gunicorn", "config.wsgi", f"--bind=127.0.0.1:{port}",
                "--workers=1", "--threads=8",
            )  # fmt: skip
            processes.manage("worker", "worker", "--grace=20")
            processes.manage("listener", "listen")
            processes.wait_for(f"{base}/livez")
            self.say(f"sandbox on http://localhost:{sandbox_port}, Ledgerbridge on {base}")
            visitor = story.sign_in(base)
            integration = story.connect(visitor, base, self.say)
            story.first_syncs(integration, person, processes, self.say)
            creating.create_invoices(integration, processes, f"http://localhost:{sandbox_port}", self.say)
            story.summary(integration, self.say)
            host = f"http://localhost:{sandbox_port}"
            workplace.show(workplace.Desk(integration, person, visitor, processes, base, host, self.say))
            org = Org(host)
            salesforce.show(org, visitor, base, person, processes, self.say)
            self.say(f"\nDone in {time.monotonic() - started:.0f} s.")
            self.say(f"Sign in at {base}/admin/ as {story.USERNAME} with the password {story.PASSWORD}")
            if not options["no_serve"]:
                self._serve(processes)

    def say(self, text: str) -> None:
        """One line, at once."""
        self.stdout.write(text)
        self.stdout.flush()

    def _environment(self, processes: Processes, sandbox_port: int, base: str) -> None:
        """Point every process at the sandbox: for our children, and in a file for commands run beside the demo."""
        accounts = requests.get(f"http://localhost:{sandbox_port}/control/accounts", timeout=10).json()["accounts"]
        values = {"PUBLIC_URL": base, "EXTRA_ALLOWED_HOSTS": f"localhost:{sandbox_port}"}
        # The stand-in of the CRM's page frames ours from another origin, as the real one does; 127.0.0.1 is another.
        values["EXTRA_FRAME_ANCESTORS"] = f"http://localhost:{sandbox_port},http://127.0.0.1:{sandbox_port}"
        values["FORTNOX_SOCKET_URL"] = f"ws://localhost:{sandbox_port}/fortnox/topics-v1"
        for system in ("fortnox", "hubspot"):
            account = next(a for a in accounts if a["system"] == system)
            url = f"http://localhost:{sandbox_port}/{system}"
            values |= {
                f"{system.upper()}_API_URL": url,
                f"{system.upper()}_OAUTH_URL": url,
                f"{system.upper()}_CLIENT_ID": account["client_id"],
                f"{system.upper()}_CLIENT_SECRET": account["client_secret"],
            }
        values |= {
            "FORTNOX_RATE_SECONDS": str(5 / LIMIT_FACTOR),
            "HUBSPOT_RATE_SECONDS": str(10 / LIMIT_FACTOR),
            "HUBSPOT_SEARCH_RATE_SECONDS": str(1 / LIMIT_FACTOR),
            "SALESFORCE_LOGIN_URL": f"http://localhost:{sandbox_port}/salesforce",
            "SALESFORCE_TEST_URL": f"http://localhost:{sandbox_port}/salesforce/test",
            "SALESFORCE_RATE_SECONDS": str(5 / LIMIT_FACTOR),
        }
        processes.env |= values
        path = Path(settings.VAR_DIR) / "demo.env"
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        path.chmod(0o600)

    def _database(self) -> None:
        """An empty database: the sandbox's companies are new each time. Never touches anybody else's rows."""
        call_command("migrate", verbosity=0)
        from integrations.models import Organization

        names = set(Organization.objects.values_list("name", flat=True))
        if names and story.ORGANIZATION not in names:
            raise CommandError(
                "This database holds other organizations. Point DATABASE_URL at an empty one for the demonstration."
            )
        call_command("flush", interactive=False, verbosity=0)
        connection.close()

    def _serve(self, processes: Processes) -> None:
        self.say("Serving. Ctrl-C stops everything.")
        try:
            while True:
                processes.check()
                time.sleep(1)
        except KeyboardInterrupt:
            self.say("Stopping.")
