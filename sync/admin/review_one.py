"""What a person does with one failure, on the page of its change: assign, note, send again with edited values.

A mixin of the change's admin. The invariant: each step has its own permission, is refused for rows of others (404),
and leaves its line in the log with the person's name.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from integrations.catalogue import Responsible
from integrations.rights import require
from sync import resend, review, routes
from sync.admin import looks, show
from sync.admin.base import ReadOnlyAdmin
from sync.admin.certificate import certificate
from sync.admin.review import group_url
from sync.admin.routing import Place
from sync.cards import words
from sync.models import Change, SyncLogEntry
from sync.states import State
from sync.texts import in_this_language

LOG = 100
RESEND = ("sync.edit_payload_change", "sync.retry_change")


class ReviewTools(ReadOnlyAdmin):
    """See the module's docstring."""

    def review_urls(self) -> list[URLPattern]:
        """The addresses of the buttons and of the two further pages."""
        return [
            path("<int:pk>/assign/", self.tool(self.assign_one, "sync.assign_change"), name="sync_change_assign"),
            path("<int:pk>/company/", self.tool(self.choose_company, "sync.move_record"), name="sync_change_company"),
            path("<int:pk>/note/", self.tool(self.note_one, "sync.add_reviewnote"), name="sync_change_note"),
            path("<int:pk>/press/", self.tool(self.press_one, "sync.approve_flow"), name="sync_change_press"),
            path("<int:pk>/resend/", self.admin_site.admin_view(self.resend_one), name="sync_change_resend"),
            path("<int:pk>/certificate/", self.admin_site.admin_view(self.certify), name="sync_change_certificate"),
        ]

    def review_context(self, request: HttpRequest, change: Change) -> dict[str, Any]:
        """What the page of a change shows beyond its plan: checks, people, notes, edits, certificate."""
        entries = list(SyncLogEntry.objects.filter(change=change).order_by("-pk")[:LOG])
        people = review.members(change) if change.state == State.REVIEW else []
        rules = Place(change.integration.crm_account, change.flow.source_object)
        return {
            "checklist": [_check(row) for row in change.checks],
            "edits": [
                dict(zip(("before", "after"), show.pair(row.get("before"), row.get("after"), name), strict=True))
                | {"field": name}
                for name, row in sorted(change.edits.items())
            ],
            "notes": [
                {"at": show.when(note.at), "user": note.user, "text": note.text} for note in review.notes(change)
            ],
            "people": people,
            "certificate": certificate(change, entries),
            "group_url": group_url("review_group", review.key_of(change)) if change.state == State.REVIEW else "",
            **self._explained(change),
            **looks.look_context(request, change, review.target_account(change.flow)),
            "may_assign": change.state == State.REVIEW and request.user.has_perm("sync.assign_change", change),
            "may_note": request.user.has_perm("sync.add_reviewnote", change),
            "may_resend": self._may_resend(request, change),
            "rules_url": rules.url if request.user.has_perm("mappings.view_routingrule", change) else "",
            "companies": routes.choices(change) if request.user.has_perm("sync.move_record", change) else [],
        }

    @staticmethod
    def _explained(change: Change) -> dict[str, Any]:
        """Cause, remedy and side from the catalogue, for a failure that says nothing itself."""
        if not change.error_code or change.state not in (State.REVIEW, State.RETRYING, State.UNKNOWN):
            return {}
        entry = review.explained(change)
        silent = entry.known and not change.problems and change.error_class not in ("conflict", "dependency")
        return {
            "cause": entry.cause_text if silent else "",
            "remedy": entry.remedy_text if silent or not entry.known else "",
            "stub": not entry.known,
            "responsible": entry.responsible.label if entry.responsible != Responsible.NOBODY else "",
        }

    @staticmethod
    def _may_resend(request: HttpRequest, change: Change) -> bool:
        allowed = all(request.user.has_perm(right, change) for right in RESEND)
        approved = not resend.needs_approval(change) or request.user.has_perm("sync.approve_flow", change)
        return allowed and approved and resend.may_resend(change)

    # --- buttons --------------------------------------------------------------------------------------------

    def assign_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Assign to a member, or to nobody."""
        chosen = request.POST.get("to", "")
        try:
            to = User.objects.get(pk=int(chosen)) if chosen else None
            review.assign(change, to, request.user)
        except (ValueError, User.DoesNotExist):
            self.message_user(request, _("This person is not a member of the organization."), messages.ERROR)
        else:
            text = _("Assigned to %(person)s.") % {"person": to} if to else _("Assigned to nobody.")
            self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(change))

    def choose_company(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Send the record, which no rule takes, to a company."""
        try:
            found = routes.choose(change, request.POST.get("company", ""), request.user, request.POST.get("reason", ""))
        except ValueError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            text = _("It goes to %(company)s and is planned there in a moment.")
            self.message_user(request, text % {"company": found.ledger_account.name}, messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(change))

    def press_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Let out what somebody asked to look at."""
        return looks.press(self, request, change)

    def note_one(self, request: HttpRequest, change: Change) -> HttpResponse:
        """Keep a note."""
        try:
            review.add_note(change, request.POST.get("text", ""), request.user)
        except ValueError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            self.message_user(request, _("The note is kept."), messages.SUCCESS)
        return HttpResponseRedirect(show.page_url(change))

    def resend_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A form with the values as they were planned; sends them as they are, or as edited."""
        self.row(request, pk)
        change = self._full(request, pk)
        for right in RESEND:
            require(request.user, right, change)
        if not resend.may_resend(change):
            text = _("It cannot be sent again as it is: something of it may exist, or it moved on.")
            self.message_user(request, text, messages.WARNING)
            return HttpResponseRedirect(show.page_url(change))
        edits, problems = resend.read_edits(change, request.POST) if request.method == "POST" else ({}, {})
        if resend.needs_approval(change, edits) and not request.user.has_perm("sync.approve_flow", change):
            raise PermissionDenied
        if request.method == "POST" and not problems:
            try:
                resend.resend(change, edits, request.user)
            except ValueError as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                text = _("It is sent again with the edited values.") if edits else _("It is sent again as planned.")
                self.message_user(request, text, messages.SUCCESS)
            return HttpResponseRedirect(show.page_url(change))
        context = self.admin_site.each_context(request) | {
            "title": _("Send %(record)s again") % {"record": change.source_title or change.source_id},
            "opts": self.opts,
            "change": change,
            "change_url": show.page_url(change),
            "place": review.target_account(change.flow),
            "fields": [
                {"row": row, "text": request.POST.get(row.name, row.text), "problem": problems.get(row.name, "")}
                for row in resend.editable(change)
            ],
            "lines": len(change.payload.get("lines") or ()),
        }
        return TemplateResponse(request, "admin/sync/review/resend.html", context, status=422 if problems else 200)

    def certify(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The certificate alone, to be printed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        self.row(request, pk)
        change = self._full(request, pk)
        found = certificate(change, list(SyncLogEntry.objects.filter(change=change).order_by("pk")[:LOG]))
        if found is None:
            self.message_user(request, _("This change has no certificate: repeating it would be harmless."))
            return HttpResponseRedirect(show.page_url(change))
        context = self.admin_site.each_context(request) | {
            "title": _("Certificate of %(record)s") % {"record": change.source_title or change.source_id},
            "opts": self.opts,
            "change": change,
            "change_url": show.page_url(change),
            "source": change.integration.account(change.flow.source_side),
            "target": review.target_account(change.flow),
            "source_link": show.outside(change.source_url, change.source_title or change.source_id),
            "certificate": found,
        }
        return TemplateResponse(request, "admin/sync/review/certificate.html", context)

    def _full(self, request: HttpRequest, pk: int) -> Change:
        found: Change = (
            Change.objects.for_user(request.user)
            .select_related(
                "flow", "approved_by", "integration__organization", "integration__crm_account",
                "integration__ledger_account",
            )
            .get(pk=pk)
        )  # fmt: skip
        return found


def _check(row: dict[str, Any]) -> dict[str, Any]:
    """One stored check in the reader's language."""

    def said(name: str) -> str:
        text = row.get(name) or ""
        return in_this_language(text) if isinstance(text, dict) else str(text)

    return {
        "status": show.status("ok", _("Holds")) if row.get("ok") else show.status("failed", _("Fails")),
        "ok": bool(row.get("ok")),
        "label": said("label") or str(row.get("code", "")),
        "actual": words.discreet(str(row.get("actual") or ""), [row]),
        "message": words.discreet(said("message"), [row]),
        "remedy": said("remedy"),
        "lines": ", ".join(str(number) for number in row.get("lines") or ()),
    }
