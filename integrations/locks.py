"""A lock that lives exactly as long as the process that holds it.

A time lease lets a frozen worker wake up beside its successor (trust A1); this lock cannot: it ends when it is released
or when its process dies, and never before. PostgreSQL: a session advisory lock on a connection of its own (Django's is
closed by `close_old_connections`). SQLite: `flock` on a file, so all processes must be on one host.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import psycopg
from django.conf import settings
from django.db import connection

_POLL_SECONDS = 0.05
_CONNECTION_KEYS = ("host", "port", "user", "password", "dbname", "sslmode", "sslrootcert", "sslcert", "sslkey")
# A host that vanished without a word must not keep its locks for the two hours of Linux's default.
_SERVER_KEEPALIVES = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
_mine = threading.local()


class _Lock(Protocol):
    def try_acquire(self) -> bool: ...
    def alive(self) -> bool: ...
    def close(self) -> None: ...


class _FileLock:
    """`flock` on a file that is never removed: removing it would let two processes lock two files of one name."""

    def __init__(self, key: int) -> None:
        folder = Path(settings.VAR_DIR) / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = (folder / f"{key:016x}").open("ab")

    def try_acquire(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def alive(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()


class _AdvisoryLock:
    """A session advisory lock; the session is this thread's alone and ends with the process.

    Inside `lock_session` the session is kept for the next lock: a connection for every one of thousands of creates
    would cost more than the create."""

    def __init__(self, key: int) -> None:
        self._key, self._mine = key, False
        kept = _kept_session()
        self._shared = kept is not None
        self._connection = kept or _connect()

    def try_acquire(self) -> bool:
        try:
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone()
        except psycopg.OperationalError:
            if not self._shared:
                raise
            self._connection.close()  # the kept session had died meanwhile
            self._connection = _kept_session() or _connect()
            row = self._connection.execute("SELECT pg_try_advisory_lock(%s)", (self._key,)).fetchone()
        self._mine = bool(row and row[0])
        return self._mine

    def alive(self) -> bool:
        try:
            self._connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            if self._mine:  # said aloud: a closed session ends at the server a moment later, and whoever is next waits
                self._connection.execute("SELECT pg_advisory_unlock(%s)", (self._key,))
        if self._shared:
            return
        with contextlib.suppress(psycopg.Error):
            self._connection.close()


def _connect() -> psycopg.Connection[Any]:
    """A session for locks: not Django's, which `close_old_connections` ends."""
    wanted = {k: v for k, v in connection.get_connection_params().items() if k in _CONNECTION_KEYS}
    return psycopg.connect(
        **wanted,
        autocommit=True,
        application_name="ledgerbridge lock",
        options=_SERVER_KEEPALIVES,
        keepalives=1,
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
    )


def _kept_session() -> psycopg.Connection[Any] | None:
    """The session that this thread keeps inside `lock_session`, opened when first needed or when it broke."""
    keeper: dict[int, psycopg.Connection[Any] | None] | None = getattr(_mine, "keeper", None)
    if keeper is None or os.getpid() not in keeper:
        return None
    kept = keeper[os.getpid()]
    if kept is None or kept.closed or kept.broken:
        kept = keeper[os.getpid()] = _connect()
    return kept


@contextmanager
def lock_session() -> Iterator[None]:
    """Inside, this thread's locks share one database session, which ends with the block or with the process. For
    loops over many locks; changes nothing about what a lock means."""
    outer = getattr(_mine, "keeper", None)
    if outer is not None and os.getpid() in outer:
        yield
        return
    keeper: dict[int, psycopg.Connection[Any] | None] = {os.getpid(): None}
    _mine.keeper = keeper
    try:
        yield
    finally:
        _mine.keeper = None
        kept = keeper.get(os.getpid())
        if kept is not None:
            with contextlib.suppress(psycopg.Error):
                kept.close()


def _key(name: str) -> int:
    """63 bits of the database's and the lock's name: two databases on one host never share a lock."""
    identity = f"{connection.settings_dict['NAME']}\0{name}"
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") >> 1


def _held() -> dict[str, _Lock]:
    """The locks of this thread; empty in a forked child, which did not inherit the right to them."""
    if getattr(_mine, "pid", None) != os.getpid():
        _mine.pid, _mine.locks = os.getpid(), {}
    locks: dict[str, _Lock] = _mine.locks
    return locks


@contextmanager
def process_lock(name: str, *, wait: float = 0) -> Iterator[bool]:
    """Hold the lock `name` for the block: `with process_lock("flow:7") as mine: if not mine: return`.

    Yields False when another process or thread still holds it after `wait` seconds. Asking again for a lock that
    this thread holds is a mistake in the caller and raises `RuntimeError`.
    """
    if name in _held():
        raise RuntimeError(f"the lock {name!r} is already held by this thread")
    lock: _Lock = _AdvisoryLock(_key(name)) if connection.vendor == "postgresql" else _FileLock(_key(name))
    try:
        mine = _acquire(lock, wait)
        if mine:
            _held()[name] = lock
        yield mine
    finally:
        _held().pop(name, None)
        lock.close()


def _acquire(lock: _Lock, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while not lock.try_acquire():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def still_held(name: str) -> bool:
    """Whether this thread still holds `name`: False after the database server ended the lock's session."""
    lock = _held().get(name)
    return lock is not None and lock.alive()
