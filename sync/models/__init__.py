"""Flows, runs, changes, links and their log: the truth about all work (the queue is only a doorbell).

This room knows mappings and connectors, and no vendor by name. Invariants kept by constraints here: one open change
per flow and source record; one link per record and side; a remote reference exists once.
"""

from mappings.models.mapping_set import Side
from sync.models.change import Change, ChangeQuerySet
from sync.models.flow import Flow, FlowPass, FlowQuerySet
from sync.models.link import EntityLink
from sync.models.log import SyncLogEntry, WorkerHeartbeat
from sync.models.run import SyncRun
from sync.models.scope import ScopedQuerySet

__all__ = [
    "Change",
    "ChangeQuerySet",
    "EntityLink",
    "Flow",
    "FlowPass",
    "FlowQuerySet",
    "ScopedQuerySet",
    "Side",
    "SyncLogEntry",
    "SyncRun",
    "WorkerHeartbeat",
]
