"""What the pages of the mapping lab share: the mapping of the person's organizations, tabs, and how values look.

The invariant: every page of the lab begins with `mapping_set`, which is 404 for another organization's, and every
write with `require`, which asks the role in the mapping's own organization.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from integrations.connector import Value
from mappings.bundle_diff import TITLES, Edit
from mappings.models import MappingSet
from mappings.models.golden import GoldenSample
from sync.admin import show
from sync.values import dump

PUBLISH = "mappings.publish_mappingset"
VIEW = "mappings.view_mappingset"
TONES = {"draft": "held", "published": "ok", "retired": "off"}


def mapping_set(request: HttpRequest, pk: int) -> MappingSet:
    """The version, of the person's organizations. Raises `Http404` and `PermissionDenied`."""
    rows = MappingSet.objects.for_user(request.user).select_related(
        "integration__organization", "integration__crm_account", "integration__ledger_account", "published_by",
        "edited_by",
    )  # fmt: skip
    found = rows.filter(pk=pk).first()
    if found is None:
        raise Http404
    require(request, VIEW, found)
    return found


def require(request: HttpRequest, permission: str, row: Any) -> None:
    """403 without this right in the row's organization."""
    if not request.user.has_perm(permission, row):
        raise PermissionDenied


def page(
    request: HttpRequest, site: AdminSite, row: MappingSet, template: str, tab: str, context: dict[str, Any]
) -> TemplateResponse:
    """One page of the lab: its frame, and what it adds."""
    golden = GoldenSample.objects.family(row).count()
    tabs = [
        ("lab", _("Try"), ""), ("lab_golden", _("Golden samples"), golden), ("lab_publish", _("Publish"), ""),
        ("lab_versions", _("Versions"), ""), ("lab_file", _("File"), ""),
    ]  # fmt: skip
    frame = {
        "title": _("%(name)s, version %(n)d") % {"name": row.title, "n": row.version},
        "mapping_set": row,
        "state": show.status(TONES[row.state], row.get_state_display()),
        "tabs": [{"url": reverse(f"admin:{name}", args=[row.pk]), "label": label, "n": n, "current": name == tab}
                 for name, label, n in tabs],
        "edit_url": reverse("admin:mappings_mappingset_change", args=[row.pk]),
        "may_publish": request.user.has_perm(PUBLISH, row),
        "may_edit": request.user.has_perm("mappings.change_goldensample", row),
    }  # fmt: skip
    return TemplateResponse(
        request, f"admin/sync/lab/{template}.html", site.each_context(request) | frame | context
    )  # fmt: skip


def back(name: str, row: MappingSet) -> HttpResponse:
    """To a page of the lab."""
    return HttpResponseRedirect(reverse(f"admin:{name}", args=[row.pk]))


def say_errors(request: HttpRequest, error: ValidationError | ValueError) -> None:
    """Every reason as a message of its own, at most ten."""
    texts: Sequence[str] = error.messages if isinstance(error, ValidationError) else [str(error)]
    for text in texts[:10]:
        messages.error(request, text)
    if len(texts) > 10:
        messages.error(request, _("… and %(n)d more") % {"n": len(texts) - 10})


def value(typed: Value) -> SafeString:
    """A value as everywhere in the admin."""
    return show.value(dump(typed))


def sentence(edit: Edit) -> SafeString:
    """One difference between two versions: words, then old and new."""
    tag = {"added": _("new"), "removed": _("removed"), "changed": _("changed"), "moved": _("moved")}[edit.kind]
    tone = {"added": "create", "removed": "conflict"}.get(edit.kind, "skip")
    mark = format_html('<span class="lb-tag lb-tag--{}">{}</span>', tone, tag)
    if edit.kind == "changed":
        return format_html(
            '<div class="lb-diff">{} <span class="lb-field">{}:</span> <del>{}</del> '
            '<span class="lb-arrow">→</span> <ins>{}</ins></div>',
            mark, edit.sentence, show.value(edit.before), show.value(edit.after),
        )  # fmt: skip
    code = format_html(" <code>{}</code>", edit.after or edit.before) if edit.after or edit.before else ""
    return format_html('<div class="lb-diff">{} {}{}</div>', mark, edit.sentence, code)


def sections(edits: Sequence[Edit]) -> list[tuple[str, list[SafeString]]]:
    """Differences in sentences, by section."""
    found: dict[str, list[SafeString]] = {}
    for edit in edits:
        found.setdefault(edit.section, []).append(sentence(edit))
    return [(str(TITLES[name]), rows) for name, rows in found.items()]


def whole(text: str, limit: int = 10**9) -> int:
    """A whole number that somebody sent; 0 when it is none."""
    return min(int(text), limit) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
