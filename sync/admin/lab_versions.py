"""The versions of a mapping: who, when and why; what differs between any two; going back; taking it elsewhere.

Going back publishes a new version equal to an older one and plans the records that later versions wrote, held for
approval. The invariant: nothing here changes a version that was published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.models import Integration
from mappings import bundle
from mappings.bundle_diff import edits
from mappings.bundle_import import clone
from mappings.models import MappingSet, State, new_draft, rollback
from sync.admin import lab_frame, show
from sync.admin.base import Question, ask, confirmed
from sync.admin.lab_publish import orders
from sync.lab import impact

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

PAGE = 50
ADD = "mappings.add_mappingset"


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)

    def post(view: Any) -> Any:
        return site.admin_view(require_POST(view))

    return [
        path("lab/<int:pk>/versions/", site.admin_view(pages.all), name="lab_versions"),
        path("lab/<int:pk>/rollback/", post(pages.rollback), name="lab_rollback"),
        path("lab/<int:pk>/draft/", post(pages.draft), name="lab_draft"),
        path("lab/<int:pk>/clone/", post(pages.clone), name="lab_clone"),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def all(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The list, newest first, and what differs between two of them."""
        row = lab_frame.mapping_set(request, pk)
        before = lab_frame.whole(request.GET.get("before", ""))
        family = MappingSet.objects.family(row).order_by("-version")
        listed = family.filter(version__lt=before) if before else family
        versions = list(listed.select_related("created_by", "published_by", "based_on")[: PAGE + 1])
        older = versions[PAGE - 1].version if len(versions) > PAGE else 0
        may_publish = request.user.has_perm(lab_frame.PUBLISH, row)
        context = {
            "versions": [_shown(one, may_publish) for one in versions[:PAGE]],
            "has_draft": any(one.editable for one in versions),
            "older": older,
            "orders": (asked := orders(row)),
            "planning": any(one["moving"] for one in asked),
            "targets": _targets(request, row),
            "may_add": request.user.has_perm(ADD, row),
            **self._compared(request, row, versions),
        }
        return lab_frame.page(request, self.site, row, "versions", "lab_versions", context)

    def _compared(self, request: HttpRequest, row: MappingSet, versions: list[MappingSet]) -> dict[str, Any]:
        """What differs between the two versions that the address names; else between the newest two."""
        a, b = (lab_frame.whole(request.GET.get(name, "")) for name in ("a", "b"))
        if not (a and b):
            if len(versions) < 2:
                return {}
            a, b = versions[1].version, versions[0].version
        rows = MappingSet.objects.family(row).filter(version__in=[a, b])
        found = {
            one.version: one for one in rows.select_related("integration__crm_account", "integration__ledger_account")
        }
        if a not in found or b not in found:
            return {"a": a, "b": b, "gone": True}
        different = edits(bundle.bundle_of(found[a]), bundle.bundle_of(found[b]))
        return {"a": a, "b": b, "compared": True, "sections": lab_frame.sections(different)}

    def rollback(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Publish a version equal to this one, and plan what later versions wrote; asks first."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, lab_frame.PUBLISH, row)
        ids = impact.written_since(row)
        too_many = len(ids) > impact.MOST_ORDERED
        if not confirmed(request):
            return self._ask_rollback(request, row, len(ids), too_many)
        try:
            with transaction.atomic():
                _still_in_force(row, lab_frame.whole(request.POST.get("in_force", "")))
                done = rollback(row, request.user)  # type: ignore[arg-type]
                asked = None if too_many else impact.order(done, ids, request.user)
                impact.log(done, "mapping rolled back", f"to version {row.version}, {len(ids)} records", request.user)
        except ValidationError as error:
            messages.error(request, _("Nothing was rolled back."))
            lab_frame.say_errors(request, error)
            return lab_frame.back("lab_versions", row)
        texts = {"n": done.version, "old": row.version}
        messages.success(request, _("Version %(n)d, equal to version %(old)d, is in force.") % texts)
        if asked is not None:
            text = ngettext(
                "%(n)s record that later versions wrote is planned now, and waits for approval.",
                "%(n)s records that later versions wrote are planned now, and wait for approval.", asked.total,
            )  # fmt: skip
            messages.success(request, text % {"n": show.number(asked.total)})
        return lab_frame.back("lab_versions", done)

    def _ask_rollback(self, request: HttpRequest, row: MappingSet, n: int, too_many: bool) -> HttpResponse:
        if too_many:
            what = _(
                "Later versions wrote more records than can be named here. Start a full run of the flow afterwards."
            )
        elif n:
            text = ngettext(
                "%(n)s record that later versions wrote is planned again; nothing is written before you approve it.",
                "%(n)s records that later versions wrote are planned again; nothing is written before you approve it.",
                n,
            )
            what = text % {"n": show.number(n)}
        else:
            what = _("Later versions have written nothing, so no record needs a correction.")
        in_force = MappingSet.objects.family(row).filter(state=State.PUBLISHED).first()
        question = Question(
            title=_("Go back to version %(n)d of %(name)s?") % {"n": row.version, "name": row.title},
            sentences=[
                _("A new version equal to version %(n)d is published at once for %(whose)s.")
                % {"n": row.version, "whose": row.integration},
                what,
                _("A draft that is open stays open."),
            ],
            button=_("Go back to version %(n)d") % {"n": row.version},
            cancel_url=reverse("admin:lab_versions", args=[row.pk]),
            fields=[("in_force", str(in_force.pk))] if in_force else (),
            danger=True,
        )
        return ask(request, self.site, question)

    def draft(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A draft with the rules of this version."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, ADD, row)
        try:
            made = new_draft(row, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            lab_frame.say_errors(request, error)
            return lab_frame.back("lab_versions", row)
        messages.success(request, _("Version %(n)d is a draft now. Change it, then try it here.") % {"n": made.version})
        return lab_frame.back("mappings_mappingset_change", made)

    def clone(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A draft of this version in another integration."""
        row = lab_frame.mapping_set(request, pk)
        if not request.user.has_perm(ADD):  # asked again of the integration that it goes to
            raise PermissionDenied
        wanted = request.POST.get("integration", "")
        there = next((one for one in _targets(request, row) if str(one.pk) == wanted), None)
        if there is None:
            messages.error(request, _("Choose an integration of an organization where you may make mappings."))
            return lab_frame.back("lab_versions", row)
        try:
            made = clone(row, there, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            messages.error(request, _("Nothing was cloned."))
            lab_frame.say_errors(request, error)
            return lab_frame.back("lab_versions", row)
        messages.success(request, _("A draft was made in %(where)s.") % {"where": there})
        if made.lacking:
            text = ngettext(
                "%(n)d thing is missing there and must be mended before publishing:",
                "%(n)d things are missing there and must be mended before publishing:", len(made.lacking),
            )  # fmt: skip
            messages.warning(request, f"{text % {'n': len(made.lacking)}} {' · '.join(made.lacking[:20])}")
        return lab_frame.back("lab", made.draft)


def _still_in_force(row: MappingSet, seen: int) -> None:
    """Raises `ValidationError` when another version came into force since the question was asked: of two people who go
    back, or of two presses, the second one did not see that. Holds the family's rows until the end of the transaction.
    """
    rows = {one.pk: one for one in MappingSet.objects.select_for_update().family(row)}
    if seen and (seen not in rows or rows[seen].state != State.PUBLISHED):
        text = _("Another version came into force after you opened this page. Look at the versions again.")
        raise ValidationError(text, code="changed")


def _targets(request: HttpRequest, row: MappingSet) -> list[Integration]:
    """Integrations of organizations where the person may make mappings, without this one."""
    rows = Integration.objects.for_user(request.user).exclude(pk=row.integration_id)
    rows = rows.select_related("organization", "crm_account", "ledger_account").order_by("organization__name", "name")
    return [one for one in rows[:200] if request.user.has_perm(ADD, one)]


def _shown(one: MappingSet, may_publish: bool) -> dict[str, Any]:
    return {
        "pk": one.pk,
        "version": one.version,
        "url": reverse("admin:lab", args=[one.pk]),
        "status": show.status(lab_frame.TONES[one.state], one.get_state_display()),
        "when": show.when(one.published_at or one.created_at),
        "who": one.published_by or one.created_by or "–",
        "note": one.note,
        "based_on": one.based_on.version if one.based_on else "",
        "may_go_back": may_publish and one.state == "retired",
    }
