"""Walking: every address of the site and every list action, asked as somebody, with what each answered and wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.http import QueryDict
from django.test import Client, RequestFactory
from django.utils.datastructures import MultiValueDict
from django.utils.http import urlencode

from tests.config.walk_world import KEY, MARK, UID, WORD, addresses

NOT_WALKED = {"admin:logout", "admin:password_change", "set_language"}
"""They are about the walker's own session."""

QUERY = {
    "integration": KEY, "organization": KEY, "flow": KEY, "run": KEY, "change": KEY, "link": KEY, "mapping": KEY,
    "account": UID, "object": "customer", "q": WORD, "group": "walk", "class": "data", "code": "2000588",
    "field": "city", "record": "1", "term": WORD, "app_label": "integrations", "model_name": "integration",
    "field_name": "organization", "month": "2026-01", "at": "2026-01-01T00:00",
    "side": "crm",
}  # fmt: skip
"""What pages are asked by other than their path: names of the foreign rows."""

FORM = QUERY | {
    "confirmed": 1, "reason": "x", "post": "yes", "_save": "1", "name": "Bent", "role": "owner", "to": "up",
    "email": "x@y.example", "text": "x", "on": "1", "enabled": "on", "company": KEY, "target": "1", "mode": "off",
    "user": KEY, "state": "x", "url": "https://example.com/x", "expression": "1", "pk": KEY, "id": KEY,
    "do": f"link:{KEY}:1", "hours": "24", "former": UID,
}  # fmt: skip

SILENT = {"next", "after", "before", "start", "csrfmiddlewaretoken", "page", "step", "language"}
"""What pages are asked by that names no row, and would only lead away from what they show; formsets have names with
hyphens, and numbers of rows among them."""

OWN_BUSINESS = {"admin:notices_settings", "admin:notices_settings_of"}
"""Where a viewer may write: how they themselves want to be told."""

DJANGOS = ("_change", "_changelist", "_add", "_delete", "_history")
"""Names of pages that post to the address without a query."""

ACTION = ": "
"""In the name of a step that is a list's action."""

OPEN_TO_ALL = {"admin:login", "admin:jsi18n", "password_reset_confirm"}
"""Pages of the admin that need nobody to be signed in."""

HARMLESS = ("django_session", "integrations_refusedcall")


@dataclass
class Writes:
    """Statements that changed something while it was watched."""

    seen: list[str] = field(default_factory=list)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        verb = sql.lstrip().split(" ", 1)[0].upper()
        if verb in ("INSERT", "UPDATE", "DELETE") and not any(f'"{name}"' in sql for name in HARMLESS):
            self.seen.append(f"{sql[:160]} {params}")
        return execute(sql, params, many, context)

    @contextmanager
    def watched(self) -> Iterator[list[str]]:
        self.seen = []
        with connection.execute_wrapper(self):
            yield self.seen


def signed_in(user: User | None) -> Client:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    return client


@dataclass(frozen=True)
class Step:
    """One request of the walk; `name` is the address's name, or the list's path and the action."""

    name: str
    method: str
    path: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.name})"

    @property
    def keyed(self) -> bool:
        """Whether it is about a foreign row by its path, or by what a list's action chose."""
        return str(KEY) in self.path or str(UID) in self.path or ACTION in self.name


def steps() -> Iterator[Step]:
    """Each address asked plainly, with a query, and by a form; every chooser and search; every list action."""
    for name, path in addresses():
        if name in NOT_WALKED:
            continue
        yield Step(name, "get", path, {})
        if not name.endswith("_changelist"):
            yield Step(name, "get", path, QUERY)
        yield Step(name, "post", path, FORM)
        if not name.endswith(DJANGOS):
            yield Step(name, "post", f"{path}?{urlencode(QUERY)}", FORM)
    yield from _searches()
    yield from _actions()


def _searches() -> Iterator[Step]:
    """What lists and choosers find by the foreign name."""
    choosers: dict[Any, Any] = {}
    for model in apps.get_models():
        for column in model._meta.concrete_fields:
            if column.is_relation and admin.site.is_registered(column.related_model):
                choosers.setdefault(column.related_model, column)
    for wanted, column in choosers.items():
        opts = column.model._meta
        asked = {"app_label": opts.app_label, "model_name": opts.model_name, "field_name": column.name, "term": WORD}
        yield Step(f"autocomplete {wanted._meta.model_name}", "get", "/admin/autocomplete/", asked)
    for model, page in admin.site._registry.items():
        if page.search_fields:
            path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            yield Step(f"search {model._meta.model_name}", "get", path, {"q": WORD, "_popup": 1})


def _actions() -> Iterator[Step]:
    form = {name: value for name, value in FORM.items() if name != "_save"}  # a list that saves runs no action
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)  # type: ignore[assignment]
    for model, page in admin.site._registry.items():
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        key = UID if model._meta.pk.get_internal_type() == "UUIDField" else KEY
        for action in page.get_actions(request):
            data = form | {"action": action, "_selected_action": [key], "index": 0}
            name = f"{model._meta.model_name}{ACTION}{action}"
            yield Step(name, "post", path, data)
            yield Step(name, "post", path, data | {"select_across": 1})


def text_of(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{answer.headers.get('Location', '')} {body.decode('utf-8', 'replace')}"


def _any_key(given: QueryDict, name: str) -> Any:
    """Whatever else a page asks by is the key of a foreign row: a parameter that nobody told the walk of."""
    try:
        return MultiValueDict.__getitem__(given, name)
    except KeyError:
        if "group" not in given or name in SILENT or name.startswith("_") or "-" in name:
            raise
        return str(KEY)


@dataclass(frozen=True)
class Outcome:
    """What became of a step: the answer, its text, and the statements that wrote."""

    answer: Any
    text: str
    writes: list[str]

    @property
    def status(self) -> int:
        """The answer's."""
        return int(self.answer.status_code)

    @property
    def problem(self) -> str:
        """What broke, when the site did."""
        if self.status < 500 or (self.status == 503 and not getattr(self.answer, "exc_info", None)):
            return ""
        return f"{self.status} {(getattr(self.answer, 'exc_info', None) or ('', ''))[1]!r}"

    @property
    def shows(self) -> bool:
        """Whether a row of the foreign world shows."""
        return MARK.lower() in self.text.lower()

    @property
    def lets_in(self) -> bool:
        """Whether more was done than to refuse, to send the person to sign in, or not to know the action."""
        if self.status in (401, 403, 404, 405) or self.answer.headers.get("Location", "").startswith("/admin/login/"):
            return False
        if self.answer.wsgi_request.method == "POST" and "cl" in (getattr(self.answer, "context_data", None) or {}):
            return False  # the list again, without an action that this person has
        said = [str(message) for message in get_messages(self.answer.wsgi_request)]
        return "No action selected." not in said


def ask(client: Client, step: Step) -> Outcome:
    """The step as this person; what it wrote is taken back, so that it does not matter who was asked before."""
    writes, undone = Writes(), transaction.atomic()
    undone._from_testcase = True  # type: ignore[attr-defined]  # what must be durable is, as far as a test can tell
    with writes.watched() as seen, mock.patch.object(QueryDict, "__getitem__", _any_key), undone:
        answer = getattr(client, step.method)(step.path, step.data)
        text = text_of(answer)
        transaction.set_rollback(True)
    return Outcome(answer, text, seen)


def walk(client: Client, *, get: bool = True, post: bool = True) -> Iterator[tuple[Step, Outcome]]:
    """Every step with its outcome."""
    for step in steps():
        if get if step.method == "get" else post:
            yield step, ask(client, step)
