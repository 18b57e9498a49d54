"""The control interface's switches of the orgs: ``{"salesforce": {"<org id, my domain or *>": {name: value}}}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from . import bulk_jobs, limits
from .app import POLICIES
from .ids import full
from .options import OrgOptions, Rules
from .tenant import Tenant

FEATURES = frozenset(entry.name for entry in fields(OrgOptions))
RULES = frozenset(entry.name for entry in fields(Rules))


class Settings:
    """Applies what ``POST /control/settings`` sends to the orgs it names."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._tenants = tenants
        self._rules: dict[str, dict[str, Any]] = {org_id: {} for org_id in tenants}

    def apply(self, sent: Any) -> dict[str, dict[str, Any]]:
        """Change what is named, for the orgs that are named; ValueError for anything unknown, before any change.
        Returns everything as it is now."""
        wanted = [(tenant, values) for name, values in _objects(sent) for tenant in self._named(name)]
        for _, values in wanted:
            unknown = set(values) - POLICIES - FEATURES - RULES - set(_OTHERS)
            if unknown:
                known = sorted(POLICIES | FEATURES | RULES | set(_OTHERS))
                raise ValueError(f"unknown org settings {sorted(unknown)}; known: {known}")
        for tenant, values in wanted:
            self._change(tenant, values)
        return {org_id: self._shown(tenant) for org_id, tenant in self._tenants.items()}

    def _named(self, name: str) -> list[Tenant]:
        if name == "*":
            return list(self._tenants.values())
        found = [t for t in self._tenants.values() if name in (t.org.id, t.org.id[:15], t.org.my_domain)]
        if not found:
            raise ValueError(f"no org {name}; there are {sorted(self._tenants)}")
        return found

    def _change(self, tenant: Tenant, values: Mapping[str, Any]) -> None:
        tenant.app.policies.change({name: value for name, value in values.items() if name in POLICIES})
        rules = {name: value for name, value in values.items() if name in RULES}
        tenant.org.rules.load(rules)
        self._rules[tenant.org.id] |= rules
        tenant.org.configure(**{name: value for name, value in values.items() if name in FEATURES})
        for name, (_, change) in _OTHERS.items():
            if name in values:
                change(tenant, values[name])

    def _shown(self, tenant: Tenant) -> dict[str, Any]:
        features = {name: getattr(tenant.org.options, name) for name in FEATURES}
        others = {name: read(tenant) for name, (read, _) in _OTHERS.items()}
        return {**tenant.app.policies.shown(), **features, **self._rules[tenant.org.id], **others}


def _objects(sent: Any) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(sent, Mapping) or any(not isinstance(values, Mapping) for values in sent.values()):
        raise ValueError('the form is {"<org id or *>": {name: value}}')
    return list(sent.items())


def _lock(tenant: Tenant, value: Any) -> None:
    """How many tries to write a record meet a lock, by record id."""
    if not isinstance(value, Mapping):
        raise ValueError("lock_rows is {record id: number of tries}")
    locked: dict[str, int] = {}
    for record_id, tries in value.items():
        known = full(str(record_id))
        if known is None:
            raise ValueError(f"{record_id} is no record id")
        locked[known] = int(tries)
    tenant.org.locked.clear()
    tenant.org.locked.update(locked)


def _most(tenant: Tenant) -> int:
    return limits.usage(tenant.org).most[limits.CALLS]


def _used(tenant: Tenant) -> int:
    return limits.usage(tenant.org).used(limits.CALLS, tenant.org.now_ms())


def _bulk_give_up_after(tenant: Tenant, value: Any) -> None:
    """After how many rows ingest jobs fail; null for never."""
    bulk_jobs.jobs_of(tenant.org).give_up_after = None if value is None else int(value)


def _bulk_seconds(tenant: Tenant, value: Any) -> None:
    """How long bulk jobs take, in sandbox seconds."""
    bulk_jobs.jobs_of(tenant.org).seconds = float(value)


def _is_sandbox(tenant: Tenant, value: Any) -> None:
    """Whether the org is a sandbox: it logs in at the other host, and its own row says so."""
    tenant.org.profile.is_sandbox = bool(value)
    row = tenant.org.rows["Organization"][tenant.org.id]
    tenant.org.table("Organization").change(row, {"IsSandbox": bool(value)})


_Reader = Callable[[Tenant], Any]
_Changer = Callable[[Tenant, Any], None]
_OTHERS: dict[str, tuple[_Reader, _Changer]] = {
    "api_max": (_most, lambda tenant, value: limits.configure(tenant.org, most=int(value))),
    "api_used": (_used, lambda tenant, value: limits.configure(tenant.org, used=int(value))),
    "bulk_give_up_after": (lambda tenant: bulk_jobs.jobs_of(tenant.org).give_up_after, _bulk_give_up_after),
    "bulk_seconds": (lambda tenant: bulk_jobs.jobs_of(tenant.org).seconds, _bulk_seconds),
    "is_sandbox": (lambda tenant: tenant.org.profile.is_sandbox, _is_sandbox),
    "lock_rows": (lambda tenant: dict(tenant.org.locked), _lock),
}
