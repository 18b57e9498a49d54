"""A world for walking all addresses: an organization whose every row of every model has the same key.

So any address with any key in it meets a row of that organization, whatever the page is about, and a model or an
argument that nobody has thought of fails the walk instead of escaping it. Every free text of its rows has `MARK` in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import Error, models, transaction
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from integrations.fields import EncryptedTextField
from integrations.models import Membership
from integrations.people_pages import STEPS
from sync.admin.month_end_rows import NEEDS
from sync.reconcile import repair
from tests import factories as make

KEY = 4711001
UID = UUID("4711aaaa-0000-4000-8000-00000000000a")
WORD, MARK = "Zyxomma", "Hemlig"
TEXT = f"{WORD} {MARK} AB"

SHARED = {
    "integrations.ratebudget", "integrations.refusedcall", "integrations.listenerpulse", "sync.workerheartbeat",
    "integrations.appsecret", "integrations.authenticatorapp",
}  # fmt: skip
"""Models whose rows belong to no organization."""

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "system": ("fortnox", "hubspot", "salesforce"), "queue": ("default",), "secret": ("x",), "uidb64": ("x",),
    "token": ("x",), "content_type_id": ("1",), "app_label": ("sync",), "url": ("nothing/",),
    "step": tuple(STEPS), "verb": tuple(dict.fromkeys([*NEEDS, *repair.PERMISSIONS])),
}  # fmt: skip
"""All values of arguments that are no keys. An unknown name that is no key fails: add it here, with those that exist,
from where the code has them."""


class Unknown(AssertionError):
    """The walk does not know how to go there."""


# --- Rows -------------------------------------------------------------------------------------------------------------


def foreign_world() -> User:
    """The organization's rows, and a member of it (who is nobody of the walk)."""
    organization = make.make_organization(TEXT, pk=KEY, organisation_number="556677-8899")
    User.objects.filter(pk=make.make_user("foreign").pk).update(id=KEY, first_name=MARK, email="hemlig@kund.example")
    user = User.objects.get(pk=KEY)
    Membership.objects.create(pk=KEY, organization=organization, user=user, role=Membership.Role.OWNER)
    crm = make.make_account(organization, "salesforce", name=TEXT, pk=UID)  # it has the most pages
    ledger = make.make_account(organization, "fortnox", name=TEXT)
    pair = make.make_integration(organization, crm=crm, ledger=ledger, name=TEXT, pk=KEY)
    other = make.make_integration(organization, crm=crm, ledger=make.make_account(organization), name=TEXT)
    OVERRIDES["sync.routemove"] = {"moved_to": other}
    make.make_flow(other, "companies-to-customers", source_side="crm", source_object="customer", target_side="ledger")
    flow = make.make_flow(pair, name=TEXT, pk=KEY)
    run = make.make_run(flow, pk=KEY, state="held")
    change = make.make_change(
        run, pk=KEY, source_title=TEXT, state="review", error_class="data", error_code="2000588",
        error_message=TEXT, error_fingerprint="walk",
        diff=[{"field": "city", "before": TEXT, "after": TEXT, "reason": ""}],
    )  # fmt: skip
    mapping = make.make_mapping_set(pair, state="draft", name=TEXT, pk=KEY)
    OVERRIDES["mappings.goldensample"] = {"slug": mapping.slug}
    link = make.make_link(
        pair, title=TEXT, pk=KEY, ledger_id=change.source_id, crm_id=change.target_id, agreed_crm={"city": TEXT}
    )
    rows = [organization, user, user.memberships.get(), crm, pair, flow, run, change, mapping, link]
    made: dict[Any, Any] = {type(row): row for row in rows}
    unknown = []
    for model in _models():
        if model not in made:
            try:
                made[model] = _row(model, made)
            except Unknown as problem:
                unknown.append(str(problem))
    if unknown:
        raise Unknown("\n".join(unknown))
    _remember(made.values())
    return user


def _remember(rows: Iterable[Any]) -> None:
    """What history has of the rows gets the key as well: pages of one past version are asked by it."""
    for row in rows:
        if hasattr(row, "history"):
            row.history.filter(pk=row.history.order_by("pk").values("pk")[:1]).update(history_id=KEY)


def _models() -> list[Any]:
    """Our models that belong to organizations, each after those that it points to."""
    ours = [
        model
        for app in ("integrations", "mappings", "sync")
        for model in apps.get_app_config(app).get_models()
        if not model.__name__.startswith("Historical") and model._meta.label_lower not in SHARED
    ]
    ordered: list[Any] = []

    def visit(model: Any) -> None:
        if model in ordered:
            return
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model in ours and field.related_model is not model:
                visit(field.related_model)
        ordered.append(model)

    for model in ours:
        visit(model)
    return ordered


OVERRIDES: dict[str, dict[str, Any]] = {
    "sync.reconciliation": {"state": "done"}, "sync.shadowreport": {"state": "done"},  # else there is no download
}  # fmt: skip
"""By model: columns that its constraints want otherwise than the walk would fill them."""


def _row(model: Any, made: dict[Any, Any]) -> Any:
    """One row with the common key; every text, if the constraints allow it, else only what is required."""
    problems = []
    for everything in (True, False):
        values = dict(_values(model, made, everything)) | OVERRIDES.get(model._meta.label_lower, {})
        try:
            with transaction.atomic():
                row = model(**values)
                row.save(force_insert=True)
                return row
        except (Error, ValidationError, ValueError, TypeError) as error:
            problems.append(str(error))
    raise Unknown(f"Teach the walk to make a {model._meta.label} (OVERRIDES in {__name__}): {problems}")


def _values(model: Any, made: dict[Any, Any], everything: bool) -> Iterator[tuple[str, Any]]:
    for field in model._meta.concrete_fields:
        if field.primary_key and not field.is_relation:
            yield field.name, UID if isinstance(field, models.UUIDField) else _key(field)
        elif field.is_relation:
            found = made.get(field.related_model)
            if found is not None and (everything or not field.null):
                yield field.name, found
        elif isinstance(field, EncryptedTextField) or (field.has_default() and not _free(field)):
            continue
        elif (not field.null or (everything and _free(field))) and (everything or not field.blank):
            yield field.name, _value(field)


def _key(field: Any) -> Any:
    return KEY if isinstance(field, models.IntegerField) else str(KEY)


def _free(field: Any) -> bool:
    return isinstance(field, models.CharField | models.TextField) and not field.choices


def _allowed(model: Any) -> dict[str, Any]:
    """What the constraints name as possible values of a column: the first of them."""
    found: dict[str, Any] = {}

    def look(condition: Any) -> None:
        for child in getattr(condition, "children", ()):
            if isinstance(child, tuple) and child[0].endswith("__in"):
                found.setdefault(child[0].removesuffix("__in"), next(iter(child[1])))
            elif not isinstance(child, tuple):
                look(child)

    for constraint in model._meta.constraints:
        if isinstance(constraint, models.CheckConstraint):
            look(constraint.condition)
    return found


def _value(field: Any) -> Any:
    if field.choices:
        return field.flatchoices[0][0]
    if "expression" in field.name:
        return f'"{TEXT}"'
    if field.name in (possible := _allowed(field.model)):
        return possible[field.name]
    makers: list[tuple[Any, Callable[[], Any]]] = [
        (models.SlugField, lambda: TEXT.lower().replace(" ", "-")[: field.max_length]),
        (models.CharField, lambda: TEXT[: field.max_length]),
        (models.TextField, lambda: TEXT),
        (models.BooleanField, lambda: False),
        (models.DecimalField, lambda: Decimal(1)),
        (models.IntegerField, lambda: 1),
        (models.DateTimeField, timezone.now),
        (models.DateField, lambda: date(2026, 1, 1)),
        (models.JSONField, dict),
        (models.UUIDField, lambda: UID),
        (models.FloatField, lambda: 1.0),
    ]
    for kind, maker in makers:
        if isinstance(field, kind):
            return maker()
    raise Unknown(f"Teach the walk a value for {field}.")


# --- Addresses ----------------------------------------------------------------------------------------------------


def addresses() -> list[tuple[str, str]]:
    """(name, path) of everything that the site's resolver knows, with the foreign organization's key in it; of an
    address with one argument of several values, each, as `name value`."""
    return list(_walk(get_resolver().url_patterns, [("", "/")], ""))


def _walk(patterns: Any, prefixes: list[tuple[str, str]], space: str) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        filled = [
            (value or before, prefix + part)
            for before, prefix in prefixes
            for value, part in _filled(str(pattern.pattern), prefix)
        ]
        if isinstance(pattern, URLResolver):
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _walk(pattern.url_patterns, filled, inner)
        elif isinstance(pattern, URLPattern):
            name = space + (pattern.name or str(pattern.pattern) or "/")
            yield from ((f"{name} {value}".strip(), path) for value, path in filled)


def _filled(route: str, prefix: str) -> Iterator[tuple[str, str]]:
    """(values that distinguish it, route with values) for each combination of values."""
    if route.startswith("^") or "(?P" in route:
        route = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", route).replace("([^/]+)", "<pk>").strip("^$")
    wanted = [_values_of(kind, name, prefix) for kind, name in re.findall(r"<(?:(\w+):)?(\w+)>", route)]
    for values in product(*wanted):
        left = iter(values)
        several = [value for value, all_of_them in zip(values, wanted, strict=True) if len(all_of_them) > 1]
        yield " ".join(several), re.sub(r"<[^>]+>", lambda _found, left=left: next(left), route)  # type: ignore[misc]


def _values_of(kind: str, name: str, prefix: str) -> tuple[str, ...]:
    if kind == "uuid" or (kind == "path" and prefix.endswith("/connectedaccount/")):
        return (str(UID),)
    if kind == "int" or name in ("object_id", "pk", "id"):
        return (str(KEY),)
    if name not in ARGUMENTS:
        raise Unknown(f"Teach the walk the argument {name!r} of {prefix} (ARGUMENTS in {__name__}).")
    return ARGUMENTS[name]
