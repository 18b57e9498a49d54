"""The admin of this room: flows, runs (plans), changes, links, their log, and the queue.

It knows the engine's verbs and writes only through them. The invariant: every page starts from the person's
organizations, costs the same number of queries for one row as for a thousand, and writes nothing on GET.
"""

from sync.admin import changes, flows, links, log, queue, runs

__all__ = ["changes", "flows", "links", "log", "queue", "runs"]
