"""What every admin page of this room shares: scope, read-only behaviour, tools, confirmation, counting.

The invariant: a page, filter or action starts from `for_user(request.user)`; an id from elsewhere is 404, an own row
without the right is 403, and nothing is written on GET.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Count, Max, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property
from django.views.decorators.http import require_POST

from integrations.rights import RowRights, require

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

COUNT_LIMIT = 10_000

ACCOUNT_COLUMNS = ("schemas", "usage", "granted_scopes", "access_token", "refresh_token")
"""Columns of a connected account that no list needs; the schemas alone can be a megabyte."""


def light(*accounts: str) -> list[str]:
    """Names for `defer`: the heavy columns of the accounts behind these lookups."""
    return [f"{account}__{column}" for account in accounts for column in ACCOUNT_COLUMNS]


def light_accounts(to_integration: str = "") -> list[str]:
    """As `light`, for both accounts of the integration behind `to_integration` ("" for an integration itself)."""
    prefix = f"{to_integration}__" if to_integration else ""
    return light(f"{prefix}crm_account", f"{prefix}ledger_account")


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than `COUNT_LIMIT`: counting a million rows would take longer than reading a page."""

    @cached_property
    def _found(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNT_LIMIT + 1].count()) if hasattr(rows, "order_by") else len(rows)

    @cached_property
    def count(self) -> int:
        """The number of rows, or the limit when there are more."""
        return min(self._found, COUNT_LIMIT)

    @property
    def capped(self) -> bool:
        """Whether there are more rows than are counted."""
        return self._found > COUNT_LIMIT


class CappedChangeList(ChangeList):
    """A list that goes on, after the last counted page, by the id of its last row."""

    older_url = ""

    def get_results(self, request: HttpRequest) -> None:
        """One page of rows."""
        super().get_results(request)
        self.result_list = list(self.result_list)
        paginator: Any = self.paginator
        if getattr(paginator, "capped", False) and self.page_num == paginator.num_pages:
            last = self.result_list[-1].pk
            self.older_url = self.get_query_string({f"{self.lookup_opts.pk.name}__lt": last}, remove=["p"])


class ScopedAdmin(RowRights, _ModelAdmin):
    """An admin page of rows that belong to organizations."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 100
    list_max_show_all = 100
    view_on_site = False
    action_rights = {
        "approve": "sync.approve_flow",
        "run": "sync.run_flow",
        "retry": "sync.retry_change",
        "dismiss": "sync.dismiss_change",
    }
    show_facets = admin.ShowFacets.NEVER
    begins = False
    """Whether the list, while it is empty, leads to the guided path."""
    deferred: Sequence[str] = ()
    related: Sequence[str] = ()
    """What lists and pages read along with each row."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """One that never counts to the end."""
        return CappedChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Only rows of the person's organizations."""
        rows: QuerySet[Any] = self.model._default_manager.for_user(request.user)
        return rows.select_related(*self.related).defer(*self.deferred)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Rows are made by the engine and by set-up."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What happened stays on record."""
        return False

    def has_approve_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the person may approve planned changes, in the organization of `obj`."""
        return request.user.has_perm("sync.approve_flow", obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list; an action on a row that the person may not see is 404."""
        chosen = set(request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)) if request.method == "POST" else set()
        if chosen and self.own(request, chosen).count() != len(chosen):
            raise Http404
        return super().changelist_view(request, extra_context)

    def own(self, request: HttpRequest, ids: Iterable[str]) -> QuerySet[Any]:
        """The person's rows among `ids`; 404 for what is no id at all."""
        try:
            return self.get_queryset(request).filter(pk__in=[int(value) for value in ids])
        except ValueError:
            raise Http404 from None

    def row(self, request: HttpRequest, pk: str | int) -> Any:
        """One row of the person's, with what a page needs; 404 otherwise."""
        found = self.own(request, [str(pk)]).first()
        if found is None:
            raise Http404
        return found

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> NoReturn:
        """Django would redirect to the home page with a message that names the id."""
        raise Http404

    def tool(self, view: Callable[[HttpRequest, Any], HttpResponse], permission: str) -> Callable[..., HttpResponse]:
        """A button's address: POST only, on one row of the person's, with `permission` in its organization."""

        def guarded(request: HttpRequest, pk: int) -> HttpResponse:
            row = self.row(request, pk)
            require(request.user, permission, row)
            return view(request, row)

        return self.admin_site.admin_view(require_POST(guarded))


class ReadOnlyAdmin(ScopedAdmin):
    """Rows that only the engine writes."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits them; what people do with them are named actions."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By the model's view right (a change right, which would include it, means nothing here)."""
        return request.user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}", obj)


@dataclass(frozen=True, slots=True)
class Question:
    """What a confirmation page asks, once, before something is done."""

    title: str
    sentences: Sequence[str]
    button: str
    cancel_url: str
    counts: Sequence[tuple[str, int]] = ()
    fields: Sequence[tuple[str, str]] = ()
    reason: bool = False
    error: str = ""
    danger: bool = False
    opts: Any = None
    crumbs: Sequence[tuple[str, str]] = field(default=())


def ask(request: HttpRequest, site: admin.AdminSite, question: Question) -> TemplateResponse:
    """The confirmation page. Its form posts to the address it was opened by, with `confirmed` set."""
    context = site.each_context(request) | {
        "title": question.title,
        "question": question,
        "opts": question.opts,
        "action_url": request.get_full_path(),
        "language_next": question.cancel_url,
    }
    return TemplateResponse(request, "sync/confirm.html", context)


def confirmed(request: HttpRequest) -> bool:
    """Whether the person has pressed the button of the confirmation page."""
    return request.method == "POST" and "confirmed" in request.POST


def asked_about(rows: QuerySet[Any]) -> list[tuple[str, str]]:
    """What a confirmation page posts again so that `as_asked` can tell whether these are still the rows."""
    found = rows.order_by().aggregate(n=Count("pk"), upto=Max("pk"))
    return [("n", str(found["n"])), ("upto", str(found["upto"]))]


def as_asked(request: HttpRequest, rows: QuerySet[Any]) -> bool:
    """Whether these are the rows that the person was asked about: none joined them and none was decided meanwhile."""
    return all(request.POST.get(name, value) == value for name, value in asked_about(rows))


def selection(request: HttpRequest, action: str) -> list[tuple[str, str]]:
    """What a confirmation page must post again so that the same action meets the same rows."""
    chosen = [(helpers.ACTION_CHECKBOX_NAME, value) for value in request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)]
    return [("action", action), ("select_across", request.POST.get("select_across", "0")), *chosen]


def changelist_url(model: type[Model]) -> str:
    """The address of a model's list."""
    from django.urls import reverse

    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
