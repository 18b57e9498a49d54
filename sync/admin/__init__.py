"""The admin of this room: flows, runs (plans), changes, links, their log, and the queue.

It knows the engine's verbs and writes only through them. The invariant: every page starts from the person's
organizations, costs the same number of queries for one row as for a thousand, and writes nothing on GET.
"""

from sync.admin import (
    changes,
    flows,
    lab,
    links,
    log,
    matching,
    month_end,
    moves,
    notices,
    ownership,
    path,
    queue,
    reconciliation,
    record,
    review,
    routing,
    runs,
    search,
    shadow,
)

PAGES = (review, search, path, record, ownership, matching, lab, reconciliation, month_end, shadow, notices)
"""Modules with pages that are no list of one model; each has `urls(site)`."""

__all__ = ["PAGES", "changes", "flows", "links", "log", "moves", "queue", "routing", "runs"]
