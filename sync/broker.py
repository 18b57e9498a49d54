"""Placeholder import until the queue module lands."""

from django_q.brokers.orm import ORM as GuardedORM

__all__ = ["GuardedORM"]
