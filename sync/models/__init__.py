"""Flows, runs, changes, links and their log: the truth about all work (the queue is only a doorbell).

This room knows mappings and connectors, and no vendor by name. Invariants kept by constraints here: one open change
per flow and source record; one link per record and side; a remote reference exists once.
"""

from mappings.models.mapping_set import Side
from sync.models.change import Change, ChangeQuerySet
from sync.models.daily import DailyCount
from sync.models.finding import SearchKey
from sync.models.flow import Flow, FlowPass, FlowQuerySet
from sync.models.hint import Hint
from sync.models.link import EntityLink
from sync.models.log import SyncLogEntry, WorkerHeartbeat
from sync.models.matching import MatchDecision
from sync.models.month_end import MonthClose, ShadowLine, ShadowReport
from sync.models.note import ReviewNote
from sync.models.notice import ChatChannel, Notice, NoticeDelivery, NoticePreference
from sync.models.pause import FieldCount, FieldPause
from sync.models.reconciliation import Reconciliation, ReconciliationDocument, ReconciliationLine
from sync.models.route import RouteMove, RoutePin
from sync.models.run import SyncRun
from sync.models.scope import ScopedQuerySet
from sync.models.ticket import CardTicket

__all__ = [
    "CardTicket",
    "Change",
    "ChangeQuerySet",
    "ChatChannel",
    "DailyCount",
    "EntityLink",
    "FieldCount",
    "FieldPause",
    "Flow",
    "FlowPass",
    "FlowQuerySet",
    "Hint",
    "MatchDecision",
    "MonthClose",
    "Notice",
    "NoticeDelivery",
    "NoticePreference",
    "Reconciliation",
    "ReconciliationDocument",
    "ReconciliationLine",
    "ReviewNote",
    "RouteMove",
    "RoutePin",
    "ScopedQuerySet",
    "SearchKey",
    "ShadowLine",
    "ShadowReport",
    "Side",
    "SyncLogEntry",
    "SyncRun",
    "WorkerHeartbeat",
]
