"""Places where a test may kill, freeze or break the process: one for each step of a delivery (trust A1).

`FAILPOINTS` in the environment (and nothing else) arms them, `name:act` separated by commas; the act is `kill`
(SIGKILL, as the kernel does it), `freeze=SECONDS` or `raise`, each with an optional probability:
`intent.committed:kill@0.02,send.checked:freeze=7@0.005`. Without the setting a place costs one look at an empty
dictionary. The invariant: an unknown name or act is refused at start, so that no test passes because it hurt nothing.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass

PLACES = frozenset(
    {
        "press.before_commit",  # the wish is written down …
        "press.committed",  # … and nobody has been told
        "create.entered",  # before the lock
        "create.locked",
        "intent.before_commit",  # `sending`, reference, fence and settle time, not yet durable
        "intent.committed",
        "send.before_check",  # token, rate limit and claim are settled; the lock is about to be looked at
        "send.checked",  # the lock is held; the next thing is the socket
        "send.answered",
        "confirm.before_commit",
        "confirm.committed",
        "fail.before_commit",  # the failure is classified, not yet stored
        "fail.committed",
        "verify.locked",
        "verify.before_search",
        "verify.searched",
        "verify.before_commit",  # what the search said is not yet stored
        "verify.committed",
    }
)


class Failed(Exception):
    """What a failpoint raises when it is told to."""


@dataclass(frozen=True, slots=True)
class _Act:
    kind: str
    seconds: float
    probability: float


def parse(text: str) -> dict[str, _Act]:
    """The armed places of a setting. Raises `ValueError` for one that does not exist."""
    armed: dict[str, _Act] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _colon, act = item.partition(":")
        act, _at, probability = act.partition("@")
        kind, _equals, seconds = act.partition("=")
        if name not in PLACES or kind not in {"kill", "freeze", "raise"}:
            raise ValueError(f"unknown failpoint {item!r}; there are {sorted(PLACES)}")
        armed[name] = _Act(kind, float(seconds or 0), float(probability or 1))
    return armed


_armed = parse(os.environ.get("FAILPOINTS", ""))


def arm(text: str) -> None:
    """Replace what is armed in this process; "" disarms."""
    _armed.clear()
    _armed.update(parse(text))


def reach(name: str) -> None:
    """This place was reached: do what it is armed with, usually nothing."""
    act = _armed.get(name) if _armed else None
    if act is None or random.random() >= act.probability:  # noqa: S311  (a test's dice)
        return
    if act.kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif act.kind == "freeze":
        time.sleep(act.seconds)
    else:
        raise Failed(name)
