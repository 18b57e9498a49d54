"""Where the settings come from: the environment, an optional `.env`, and in development secrets made once.

Any value may be given as a file: `SECRET_KEY_FILE=/run/secrets/key`. The one invariant: production starts with the
secrets that it was given, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.FileAwareEnv()
if (BASE_DIR / ".env").exists():
    env.read_env(BASE_DIR / ".env")

PROFILE = env.str("PROFILE", default="development")
if PROFILE not in {"development", "production"}:
    raise ImproperlyConfigured(f"PROFILE must be development or production, not {PROFILE!r}")
PRODUCTION = PROFILE == "production"
if not PRODUCTION and (VAR_DIR / "demo.env").exists() and "pytest" not in sys.modules:
    env.read_env(VAR_DIR / "demo.env")  # written by `make demo`: the sandbox's addresses and credentials


def secret(name: str, make: Callable[[], str]) -> str:
    """The secret `name` from the environment; in development made once and kept in `var/` (mode 0600)."""
    if PRODUCTION or env.str(name, default=""):
        return str(env.str(name))
    path = VAR_DIR / f"{name.lower()}.txt"
    if not path.exists():
        VAR_DIR.mkdir(exist_ok=True)
        draft = VAR_DIR / f"{name.lower()}.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(make())
        with contextlib.suppress(FileExistsError):  # another process was first: its secret counts
            os.link(draft, path)
        draft.unlink()
    return path.read_text()
