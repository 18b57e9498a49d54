"""``/composite/graph``: graphs of dependent writes, each of them all or nothing.

Limits (Salesforce REST guide, composite graph limits): 75 graphs, 500 nodes, depth 15, 15 kinds of node, and the call
stops after 14 failed graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from . import errors
from .call import Answer, Call
from .errors import SfError

if TYPE_CHECKING:
    from .composite import Part

GRAPHS, NODES, DEPTH, KINDS, FAILURES = 75, 500, 15, 15, 14


class Runner(Protocol):
    """How the parts of one graph are carried out."""

    def __call__(self, call: Call, parts: Sequence[Part], *, all_or_none: bool) -> tuple[list[dict[str, Any]], bool]:
        """(results, whether all went well)."""
        ...


def respond(call: Call, run: Runner, parts_of: Callable[[Any], list[Part]]) -> Answer:
    """Carry out every graph of the body."""
    listed = call.json().get("graphs")
    if not isinstance(listed, list) or not listed or any(not isinstance(entry, dict) for entry in listed):
        raise errors.bad_json("graphs must be a list of graphs")
    graphs = [(str(entry.get("graphId", "")), parts_of(entry.get("compositeRequest"))) for entry in listed]
    _check(graphs)
    answered: list[dict[str, Any]] = []
    failed = 0
    for graph_id, parts in graphs:
        if failed >= FAILURES:
            results, well = [_stopped(part) for part in parts], False
        else:
            results, well = run(call, parts, all_or_none=True)
            failed += not well
        answered.append({"graphId": graph_id, "graphResponse": {"compositeResponse": results}, "isSuccessful": well})
    return Answer(200, {"graphs": answered})


def _check(graphs: list[tuple[str, list[Part]]]) -> None:
    names = [name for name, _ in graphs]
    if not all(names) or len(set(names)) != len(names):
        raise SfError(400, "INVALID_INPUT", "Every graph needs a graphId of its own")
    if len(graphs) > GRAPHS or sum(len(parts) for _, parts in graphs) > NODES:
        raise SfError(400, "LIMIT_EXCEEDED", f"At most {GRAPHS} graphs with {NODES} nodes together are allowed")
    for name, parts in graphs:
        kinds = {(part.method, "/".join(part.url.split("/")[4:6])) for part in parts}
        if len(kinds) > KINDS or _depth(parts) > DEPTH:
            raise SfError(
                400, "LIMIT_EXCEEDED", f"Graph {name}: at most {KINDS} kinds of node and a depth of {DEPTH} are allowed"
            )


def _depth(parts: list[Part]) -> int:
    depths: dict[str, int] = {}
    for part in parts:
        depths[part.reference] = 1 + max((depths[name] for name in part.needs), default=0)
    return max(depths.values())


def _stopped(part: Part) -> dict[str, Any]:
    return {
        "body": errors.halted(),
        "httpHeaders": {},
        "httpStatusCode": 400,
        "referenceId": part.reference,
    }
