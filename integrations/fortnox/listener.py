"""The listener: hears of changes in every Fortnox company over one connection, and remembers how far it has listened.

Fortnox keeps events for 14 days and replays them from an offset. The invariants: events and the offsets up to them are
stored in one transaction; whatever goes wrong ends in another try; what may have been missed is said (`inbox.gap`), so
that whoever works with events looks by itself.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.db.models import F
from django.utils import timezone
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from integrations import inbox, tokens
from integrations.errors import SyncError
from integrations.fortnox.events import TOPICS, Interrupted, Session
from integrations.hosts import open_socket
from integrations.inbox_models import ListenerOffset, ListenerPulse
from integrations.models import ConnectedAccount, Integration

logger = logging.getLogger(__name__)
# The library writes whole frames, tokens included, at DEBUG.
_quiet = logging.getLogger(f"{__name__}.frames")
_quiet.setLevel(logging.INFO)

SYSTEM, KIND = "fortnox", "fortnox socket"
RETENTION = timedelta(days=14) - timedelta(hours=1)
PULSE_SECONDS, LOOK_SECONDS = 5.0, 10.0
STEADY_SECONDS, BACKOFF_CAP_SECONDS = 30.0, 60.0
MAX_BYTES = 1 << 20


class Listener:
    """Listens until `stop` is set; everything that goes wrong ends in another try."""

    def __init__(
        self, stop: threading.Event, say: Callable[[str], object] = logger.info, mine: Callable[[], bool] = lambda: True
    ) -> None:
        """`mine` says whether this is still the one process that listens."""
        self.stop = stop
        self.say = say
        self.mine = mine
        vendor = settings.VENDORS[SYSTEM]
        self._url, self._secret = str(vendor["socket_url"]), str(vendor["client_secret"])
        self._rows: dict[str, list[ConnectedAccount]] = {}
        self._next_pulse = self._next_look = 0.0

    def run(self) -> None:
        """Connect, listen, and again, with capped backoff and full jitter. Never raises."""
        failures = 0
        while not self.stop.is_set() and self.mine():
            began = time.monotonic()
            try:
                close_old_connections()
                if not self._session():
                    self._pulse("nothing to listen to", connected=False)
                    self.stop.wait(LOOK_SECONDS)
                    continue
                why = "closed"
            except (OSError, WebSocketException, Interrupted, SyncError, DatabaseError) as error:
                why = f"{type(error).__name__}: {error}"[:300]
            except Exception as error:  # a bug must not end the listening; the schedules go on meanwhile
                logger.exception("internal fault in the listener")
                why = type(error).__name__
            if self.stop.is_set():
                break
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            self._safely_pulse(why)
            self.say(f"listener: {why}; trying again")
            self.stop.wait(backoff(failures))
        self._safely_pulse("stopped")

    def _session(self) -> bool:
        """One connection until it ends or we are told to stop; False when there is nobody to listen to."""
        known = self._tokens()
        if not known:
            return False
        offsets = dict(ListenerOffset.objects.filter(system=SYSTEM).values_list("topic", "offset"))
        before = ListenerPulse.objects.filter(system=SYSTEM).first()
        sock = open_socket(self._url, SYSTEM, 10)
        with connect(
            self._url, sock=sock, proxy=None, open_timeout=10, close_timeout=5, ping_interval=30, ping_timeout=30,
            max_size=MAX_BYTES, logger=_quiet,
        ) as connection:  # fmt: skip
            session = Session(connection, self._secret)
            if not session.add(known):
                raise Interrupted("no tenant was accepted")
            resumed = session.subscribe(offsets)
            self._say_gaps(session, resumed, before)
            self.say(f"listening to {len(session.tenants)} companies")
            self._listen(session)
        return True

    def _listen(self, session: Session) -> None:
        self._next_pulse, self._next_look = 0.0, time.monotonic() + LOOK_SECONDS
        while not self.stop.is_set():
            self._take(session, 0.5)
            now = time.monotonic()
            if now >= self._next_look:
                self._follow(session)
                self._next_look = time.monotonic() + LOOK_SECONDS
            if now >= self._next_pulse:
                if not self.mine():
                    raise Interrupted("another process listens")
                self._pulse("", connected=True, accounts=sorted(session.tenants))
                self._next_pulse = now + PULSE_SECONDS
        for _batch in range(20):  # what is here already is stored before we go
            if not self._take(session, 0):
                break

    def _take(self, session: Session, wait: float) -> bool:
        """Store what arrives, with its offsets; whether anything did. A database that is away ends the connection, so
        that nothing is passed over: the next one starts at the stored offsets."""
        heard = session.hear(wait)
        if heard.unreadable:
            inbox.count_refused(KIND, self._url.partition("://")[2][:64], "unreadable", heard.unreadable)
        if heard.offsets:
            close_old_connections()
            inbox.store(SYSTEM, heard.events, offsets=heard.offsets)
            rows = ListenerPulse.objects.filter(system=SYSTEM)
            rows.update(events=F("events") + len(heard.events))
        return bool(heard.events)

    def _follow(self, session: Session) -> None:
        """Companies that came, went, or have a new token. One whose token cannot be had just now stays."""
        known = self._tokens()
        session.remove(sorted(set(session.tenants) - set(self._rows)))
        before = set(session.tenants)
        fresh = {tenant: token for tenant, token in known.items() if token not in _tried(session, tenant)}
        came = sorted(session.add(fresh) - before)
        for tenant in came:
            self.say(f"listening to one more company, {tenant}")
        inbox.gap([row.pk for tenant in came for row in self._rows[tenant]])

    def _say_gaps(self, session: Session, resumed: set[str], before: ListenerPulse | None) -> None:
        """What the stored offsets do not cover: too long an absence, topics without one, companies that were not heard
        before. Said once the subscription stands, so that nothing falls between."""
        rows = [row.pk for tenant in session.tenants for row in self._rows[tenant]]
        last = before.connected_at if before else None
        if last is None or timezone.now() - last > RETENTION:
            inbox.gap(rows)
            return
        for topic in TOPICS.keys() - resumed:
            inbox.gap(rows, TOPICS[topic])
        strangers = session.tenants.keys() - set(before.accounts if before else ())
        inbox.gap([row.pk for tenant in strangers for row in self._rows[tenant]])

    def _tokens(self) -> dict[str, str]:
        """A valid token per company that somebody works with; a company whose token cannot be had is left out."""
        used = Integration.objects.exclude(mode=Integration.Mode.OFF).values("ledger_account")
        found: dict[str, str] = {}
        self._rows = {}
        accounts = ConnectedAccount.objects.filter(system=SYSTEM, status=ConnectedAccount.Status.CONNECTED, pk__in=used)
        for account in accounts.order_by("created_at"):
            self._rows.setdefault(account.remote_id, []).append(account)
            if account.remote_id in found:
                continue
            try:
                found[account.remote_id] = tokens.access_token(account)
            except SyncError as error:
                logger.warning("no token for account %s: %s", account.pk, error.code)
        return found

    def _pulse(self, detail: str, *, connected: bool, accounts: Sequence[str] | None = None) -> None:
        now = timezone.now()
        values: dict[str, Any] = {
            "at": now,
            "connected": connected,
            "detail": detail[:500],
            "host": socket.gethostname()[:100],
            "pid": os.getpid(),
        }
        if connected:
            values |= {"connected_at": now, "accounts": list(accounts or ())}
        ListenerPulse.objects.update_or_create(system=SYSTEM, defaults=values)

    def _safely_pulse(self, detail: str) -> None:
        try:
            close_old_connections()
            self._pulse(detail, connected=False)
        except DatabaseError:
            logger.warning("the listener's pulse could not be stored")


def _tried(session: Session, tenant: str) -> tuple[str | None, str | None]:
    return session.tenants.get(tenant), session.refused.get(tenant)


def backoff(failures: int) -> float:
    """Seconds before the next try: full jitter under a doubling, capped bound."""
    return random.uniform(0, min(BACKOFF_CAP_SECONDS, 2.0 ** min(failures, 10)))  # noqa: S311 - spreads load
