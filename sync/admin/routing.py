"""Routing rules: one page per CRM account and object, with the rules in their order and a box to try them on a record.

The invariants: accounts and companies come from the person's organizations, and a rule's company from its own account;
trying a rule reads one record and writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from integrations.connector import Record
from integrations.connectors import connector_for
from integrations.errors import Missing, SyncError
from integrations.models import ConnectedAccount, Integration
from mappings.admin.scoped import ScopedAdmin
from mappings.models import RoutingRule
from mappings.models.routing import readable
from sync.admin import show
from sync.engine.routing import Route, Router, Why, companies, held_text
from sync.models import Change, Flow, Side

RECENT = 8


@dataclass(frozen=True, slots=True)
class Place:
    """One object of a CRM account whose records are routed."""

    account: ConnectedAccount
    object_name: str

    @property
    def url(self) -> str:
        """Its page."""
        return f"{_list_url()}?{self.query}"

    @property
    def query(self) -> str:
        """What names it in an address."""
        return urlencode({"account": self.account.pk, "object": self.object_name})

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.account.name or self.account.remote_id} · {_(self.object_name)}"


def _list_url() -> str:
    return reverse("admin:mappings_routingrule_changelist")


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """A rule of one account and object; its company is one of those that take such records from that account."""

    class Meta:
        model = RoutingRule
        fields = ("account", "object_name", "name", "expression", "integration", "active")
        widgets = {
            "account": forms.HiddenInput, "object_name": forms.HiddenInput,
            "expression": forms.Textarea(attrs={"rows": 2, "cols": 60, "spellcheck": "false"}),
        }  # fmt: skip


@admin.register(RoutingRule)
class RoutingRuleAdmin(ScopedAdmin):
    """See the module's docstring."""

    form = RuleForm
    actions = None

    # --- the page -----------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        """The buttons and the box before Django's own."""
        wrap = self.admin_site.admin_view
        own = [
            path("try/", wrap(require_POST(self.try_it)), name="mappings_routingrule_try"),
            path("<int:pk>/move/", wrap(require_POST(self.move_one)), name="mappings_routingrule_move"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The rules of one object of one CRM account."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._page(request, self._place(request, request.GET))

    def _page(self, request: HttpRequest, place: Place | None, **more: Any) -> HttpResponse:
        here = place.account if place is not None else None
        context = self.admin_site.each_context(request) | {
            "title": _("Routing rules"),
            "opts": self.opts,
            "place": place,
            "places": self._places(request),
            "may_change": self.has_change_permission(request, here),
            "may_add": request.user.has_perm("mappings.add_routingrule", here),
            "may_delete": self.has_delete_permission(request, here),
            **more,
        }
        if place is not None:
            rows = RoutingRule.objects.filter(account=place.account, object_name=place.object_name)
            rules = list(rows.select_related("integration__ledger_account").order_by("position", "pk"))
            context |= {
                "rules": rules,
                "companies": companies(place.account, place.object_name),
                "ends": bool(rules) and any(rule.always and rule.active for rule in rules),
                "add_url": f"{reverse('admin:mappings_routingrule_add')}?{place.query}",
                "recent": _recent(place),
            }
        return TemplateResponse(request, "admin/sync/routing/page.html", context)

    def _places(self, request: HttpRequest) -> list[Place]:
        """Read once per request."""
        if not hasattr(request, "_routing_places"):
            request._routing_places = self._read_places(request)  # type: ignore[attr-defined]
        found: list[Place] = request._routing_places  # type: ignore[attr-defined]
        return found

    def _read_places(self, request: HttpRequest) -> list[Place]:
        accounts = {row.pk: row for row in ConnectedAccount.objects.for_user(request.user).defer("schemas")}
        flows = Flow.objects.filter(source_side=Side.CRM, integration__crm_account__in=list(accounts))
        pairs = flows.order_by().values_list("integration__crm_account", "source_object").distinct()
        found = [Place(accounts[account], name) for account, name in pairs]
        return sorted(found, key=lambda place: (str(place.account), place.object_name))

    def _place(self, request: HttpRequest, query: Any) -> Place | None:
        """What the address names; when it names nothing, the first that has rules, else the first there is. 404 for
        what is not the person's."""
        places = self._places(request)
        if not query.get("account"):
            ruled = set(RoutingRule.objects.order_by().values_list("account", "object_name").distinct())
            with_rules = (place for place in places if (place.account.pk, place.object_name) in ruled)
            return next(with_rules, next(iter(places), None))
        wanted = (query.get("account", ""), query.get("object", ""))
        found = next((each for each in places if (str(each.account.pk), each.object_name) == wanted), None)
        if found is None:
            raise Http404
        return found

    # --- one rule -------------------------------------------------------------------------------------------------

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """With the companies of the rule's own account to choose from."""
        form = super().get_form(request, obj, change, **kwargs)
        account, name = self._of(request, obj)
        found = companies(account, name) if account else []
        fields: dict[str, Any] = form.base_fields
        if "account" not in fields:  # for somebody who may only look
            return form
        fields["account"].queryset = ConnectedAccount.objects.for_user(request.user)
        fields["integration"].queryset = Integration.objects.filter(pk__in=[each.pk for each in found])
        fields["integration"].choices = [(each.pk, each.ledger_account.name or each.name) for each in found]
        known = readable(account, name) if account else []
        if known:
            text = ", ".join(known[:12]) + (" …" if len(known) > 12 else "")
            fields["expression"].help_text = _("Empty: always, the default. Fields: %(fields)s") % {"fields": text}
        if obj is not None:
            fields["account"].disabled = fields["object_name"].disabled = True
        return form

    def _of(self, request: HttpRequest, obj: RoutingRule | None) -> tuple[ConnectedAccount | None, str]:
        if obj is not None:
            return obj.account, obj.object_name
        data = request.POST if request.method == "POST" else request.GET
        try:
            key = UUID(str(data.get("account", "")))
        except ValueError:
            return None, ""
        account = ConnectedAccount.objects.for_user(request.user).filter(pk=key).first()
        return account, str(data.get("object_name") or data.get("object") or "")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """The account and object whose page the person came from."""
        account, name = self._of(request, None)
        return {"account": account, "object_name": name, "active": True}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Without Django's buttons to add or change what a rule points to."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and hasattr(field.widget, "can_add_related"):
            for verb in ("add", "change", "delete", "view"):
                setattr(field.widget, f"can_{verb}_related", False)
        return field

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """A new rule comes last, before the default."""
        if not change:
            obj.put_last()
        super().save_model(request, obj, form, change)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Back to the rules."""
        return HttpResponseRedirect(Place(obj.account, obj.object_name).url)

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Back to the rules."""
        return self.response_post_save_add(request, obj)

    def move_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """One place up or down."""
        rule = self._require(request, str(pk))
        if not self.has_change_permission(request, rule):
            raise PermissionDenied
        rule.swap(request.POST.get("to") == "up")
        return HttpResponseRedirect(Place(rule.account, rule.object_name).url)

    # --- trying them ------------------------------------------------------------------------------------------------

    def try_it(self, request: HttpRequest) -> HttpResponse:
        """Read one record now and show what every rule says of it. Nothing is written."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        place = self._place(request, request.POST)
        if place is not None and not self.has_view_permission(request, place.account):
            raise PermissionDenied
        record_id = request.POST.get("record", "").replace("\x00", "").strip()[:100]
        if place is None or not record_id:
            messages.warning(request, _("Give the id of a record."))
            return self._page(request, place)
        try:
            trial = _trial(place, record_id)
        except SyncError as error:
            gone = isinstance(error, Missing) or error.value == record_id  # what is no id belongs to no record
            problem = _("There is no such record.") + " " + _("Look at the address of its page again.")
            problem = problem if gone else error.message
            return self._page(request, place, tried=record_id, problem=problem)
        return self._page(request, place, tried=record_id, trial=trial)


def _recent(place: Place) -> list[tuple[str, str]]:
    """Records of this kind that were planned last: id and name."""
    flows = Flow.objects.filter(
        integration__crm_account=place.account, source_side=Side.CRM, source_object=place.object_name
    )
    rows = Change.objects.filter(flow__in=list(flows)).order_by("-pk").values_list("source_id", "source_title")
    newest = list(rows[: RECENT * 3])
    return list(dict(reversed(newest)).items())[-RECENT:][::-1]


def _trial(place: Place, record_id: str) -> dict[str, Any]:
    """What the rules, links and decisions say of one record as it is now: one remote read. Raises `SyncError`."""
    router = Router(place.account, place.object_name)
    reads: dict[str, frozenset[str]] = {place.object_name: frozenset()}
    for part, name in router.rules.reads:
        if part != "source":
            reads[part] = reads.get(part, frozenset()) | {name}
    connector = connector_for(place.account, lane="interactive")
    loaded = next(iter(connector.load(place.object_name, [record_id], reads)), (record_id, Missing("gone")))
    if not isinstance(loaded, Record):
        raise loaded[1]
    judged = router.rules.judge(loaded)
    route = router.decide(record_id, judged, router.facts([record_id]))
    verdicts = {step.rule.pk: step for step in judged.steps}
    names = {pair.pk: pair.ledger_account.name for pair in companies(place.account, place.object_name)}
    return {
        "title": loaded.title or record_id,
        "link": show.outside(loaded.url, loaded.title or record_id),
        "rows": [_row(rule, verdicts.get(rule.pk)) for rule in router.rules.rows],
        "home": names.get(route.home or 0, ""),
        "why": _why(route, names),
        "tone": "ok" if route.home is not None else "failed",
        "also": [name for key, name in sorted(names.items()) if key in route.places and key != route.home],
        "rules_say": names.get(judged.integration_id or 0, ""),
        "overridden": route.why in (Why.LINK, Why.ON_ITS_WAY, Why.PIN),
    }


def _row(rule: RoutingRule, step: Any) -> dict[str, Any]:
    words = {
        "yes": show.status("ok", _("Yes: takes it")),
        "no": show.status("off", _("No")),
        "error": show.status("failed", _("Cannot be evaluated")),
    }
    return {
        "rule": rule,
        "verdict": words[step.verdict] if step else show.status("off", _("Not reached")),
        "values": step.values if step else (),
        "error": step.error if step else "",
    }


_REASONS = {
    Why.LINK: gettext_lazy("It is linked there, and stays. It can be moved from the page of its link."),
    Why.ON_ITS_WAY: gettext_lazy("It is being sent there now."),
    Why.PIN: gettext_lazy("Somebody decided that it goes there."),
    Why.RULE: gettext_lazy("The first rule that holds takes it."),
    Why.ONLY: gettext_lazy("It is the only company that takes such records, and there are no rules."),
}


def _why(route: Route, names: dict[int, str]) -> str:
    if route.home is None:
        return str(held_text(route)[0])
    if route.home not in names:
        return _("The company takes no records of this kind: nothing would happen.")
    return str(_REASONS[route.why])
