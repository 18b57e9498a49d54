"""`manage.py worker`: both clusters, watched from outside and restarted whole when they stop giving signs of life.

A killed idle worker can wedge a django-q2 cluster for ever while it still reports itself as working; so this process
starts each cluster in a session of its own, watches the heartbeat that the tasks write, and on silence kills the whole
group. Our tables hold the truth about the work, which makes that safe at any moment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from sync import queue
from sync.models import WorkerHeartbeat

MANAGE = Path(settings.BASE_DIR) / "manage.py"


@dataclass(slots=True)
class Cluster:
    """One django-q2 cluster in a session of its own."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    started: datetime = field(default_factory=timezone.now)
    restarts: int = 0

    def start(self) -> None:
        """Start it; the bulk cluster is chosen by environment."""
        env = dict(os.environ)
        env.pop("Q_CLUSTER_NAME", None)
        if self.name != queue.INTERACTIVE:
            env["Q_CLUSTER_NAME"] = self.name
        self.process = subprocess.Popen(  # noqa: S603  (our own manage.py)
            [sys.executable, str(MANAGE), "qcluster"], env=env, start_new_session=True
        )
        self.started = timezone.now()

    def kill(self) -> None:
        """SIGKILL the whole group: children of a dead main process would go on with old code."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()

    def silent_for(self) -> timedelta:
        """Time since its last sign of life, or since its start."""
        row = WorkerHeartbeat.objects.filter(queue=self.name).first()
        last: datetime = max(row.at, self.started) if row else self.started
        return timezone.now() - last


class Command(BaseCommand):
    """Supervise the clusters until told to stop."""

    help = "Start the queue's workers and keep them alive. SIGTERM or Ctrl-C lets running work finish first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--silence", type=int, default=180, help="seconds without a heartbeat before a restart")
        parser.add_argument("--grace", type=int, default=70, help="seconds that running work gets at stop")
        parser.add_argument("--poll", type=float, default=1.0, help="seconds between looks")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        queue.ensure_schedule()
        clusters = [Cluster(queue.INTERACTIVE), Cluster(queue.BULK)]
        for cluster in clusters:
            cluster.start()
        for name in queue.QUEUES:
            queue.kick(name)
        self.stdout.write("worker ready", ending="\n")
        self.stdout.flush()
        silence = timedelta(seconds=options["silence"])
        while not self.stopping:
            time.sleep(options["poll"])
            for cluster in clusters:
                self._look_after(cluster, silence)
        self._shut_down(clusters, options["grace"])

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def _look_after(self, cluster: Cluster, silence: timedelta) -> None:
        """Restart a cluster that died or fell silent."""
        if self.stopping or cluster.process is None:
            return
        close_old_connections()
        dead = cluster.process.poll() is not None
        if dead or cluster.silent_for() > silence:
            self.stderr.write(f"cluster {cluster.name}: {'died' if dead else 'silent'}; restarting it whole")
            cluster.kill()
            cluster.restarts += 1
            time.sleep(min(cluster.restarts, 10))
            cluster.start()

    def _shut_down(self, clusters: list[Cluster], grace: int) -> None:
        """SIGTERM to the main processes only (to the group it would kill workers in their work), then SIGKILL."""
        for cluster in clusters:
            if cluster.process is not None and cluster.process.poll() is None:
                cluster.process.terminate()
        deadline = time.monotonic() + grace
        for cluster in clusters:
            try:
                if cluster.process is not None:
                    cluster.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.stderr.write(f"cluster {cluster.name} did not stop in time; killed")
            cluster.kill()
        self.stdout.write("worker stopped")
