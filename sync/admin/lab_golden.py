"""Golden samples of a mapping: pinned records, whether this version gives what they expect, and how to change them.

The record is read again when it is pinned, so that what is kept never passes through a page. The invariant: every
change asks for `change_goldensample` in the mapping's organization, and shows before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_POST

from integrations.errors import SyncError
from integrations.fields import DecryptionError
from mappings import golden, golden_pins
from mappings.expressions import ExpressionError
from mappings.models.golden import GoldenSample
from sync.admin import lab_frame, show
from sync.admin.base import Question, ask, confirmed
from sync.lab import trial

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

    from mappings.models import MappingSet

CHANGE, ADD, DELETE = (f"mappings.{verb}_goldensample" for verb in ("change", "add", "delete"))


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)

    def post(view: Any) -> Any:
        return site.admin_view(require_POST(view))

    one = "lab/<int:pk>/golden/<int:sample>/"
    return [
        path("lab/<int:pk>/golden/", site.admin_view(pages.all), name="lab_golden"),
        path("lab/<int:pk>/golden/pin/", post(pages.pin), name="lab_pin"),
        path(one, site.admin_view(pages.one), name="lab_sample"),
        path(f"{one}expect/", post(pages.expect), name="lab_expect"),
        path(f"{one}edit/", post(pages.edit), name="lab_sample_edit"),
        path(f"{one}redact/", post(pages.redact), name="lab_redact"),
        path(f"{one}read/", post(pages.read), name="lab_sample_read"),
        path(f"{one}remove/", post(pages.remove), name="lab_sample_remove"),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    # --- looking --------------------------------------------------------------------------------------------

    def all(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Every sample with pass or fail under this version."""
        row = lab_frame.mapping_set(request, pk)
        error, results = "", []
        try:
            results = list(golden.try_all(row))
        except ExpressionError as exception:
            error = _("This version cannot run yet: %(why)s. Mend it in the editor.") % {"why": exception}
        failed = sum(not result.passed for result in results)
        context = {
            "results": [_shown(row, result) for result in results],
            "failed": failed,
            "passed": len(results) - failed,
            "error": error,
            "pin_record": request.GET.get("record", "")[:100],
            "may_pin": request.user.has_perm(ADD, row),
            "base": trial.base_of(row),
        }
        return lab_frame.page(request, self.site, row, "golden", "lab_golden", context)

    def one(self, request: HttpRequest, pk: int, sample: int) -> HttpResponse:
        """One sample: what it expects, what this version gives, its values, its history."""
        row = lab_frame.mapping_set(request, pk)
        found = _sample(row, sample)
        result = next((r for r in _results(row) if r.sample.pk == found.pk), golden.Result(found))
        try:
            values = sorted(golden_pins.text_values(golden.read(found)).items())
        except (DecryptionError, ValueError, KeyError, TypeError):
            values = []
        context = {
            "sample": found,
            "result": _shown(row, result),
            "values": values,
            "steps": _history(found),
            "may_change": request.user.has_perm(CHANGE, row),
            "may_remove": request.user.has_perm(DELETE, row),
        }
        return lab_frame.page(request, self.site, row, "sample", "lab_golden", context)

    # --- changing -------------------------------------------------------------------------------------------

    def pin(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Pin one record by its id: read now, from its source."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, ADD, row)
        record, name = request.POST.get("record", "").strip()[:100], request.POST.get("name", "").strip()
        if not record or not name:
            messages.error(request, _("Give the record's id and a name that says what it is an example of."))
            return lab_frame.back("lab_golden", row)
        expects = (trial.base_of(row) if request.POST.get("as") == "base" else None) or row
        tried = self._read(request, row, record)
        if tried is not None and tried.sample is not None:
            try:
                made = golden_pins.pin(expects, tried.sample, name, request.user, note=request.POST.get("note", ""))  # type: ignore[arg-type]
                if request.POST.get("redact") == "1":
                    golden_pins.redact(made, expects, request.user)  # type: ignore[arg-type]
            except (ValidationError, ExpressionError) as error:
                lab_frame.say_errors(request, error)
            else:
                messages.success(
                    request, _("“%(name)s” is pinned: every version must give this from now on.") % {"name": made}
                )
        return lab_frame.back("lab_golden", row)

    def _read(self, request: HttpRequest, row: MappingSet, record: str) -> trial.Tried | None:
        try:
            tried = trial.run(trial.bench(row), [record])[0]
        except (SyncError, ExpressionError) as error:
            messages.error(request, _("The record could not be read: %(why)s") % {"why": error})
            return None
        if tried.error:
            messages.error(request, _("Record %(id)s could not be read: %(why)s") % {"id": record, "why": tried.error})
        return tried

    def expect(self, request: HttpRequest, pk: int, sample: int) -> HttpResponse:
        """What this version gives is right: the sample expects it from now on. The difference was on the page."""
        row, found = self._change(request, pk, sample)
        try:
            changed = golden_pins.expect(found, row, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            lab_frame.say_errors(request, error)
        else:
            text = ngettext("%(n)d value is expected anew.", "%(n)d values are expected anew.", len(changed))
            messages.success(request, text % {"n": len(changed)})
        return _to(row, found)

    def edit(self, request: HttpRequest, pk: int, sample: int) -> HttpResponse:
        """Values of the record typed anew."""
        row, found = self._change(request, pk, sample)
        given = {name[2:]: text for name, text in request.POST.items() if name.startswith("v:")}
        try:
            n = golden_pins.edit(found, row, given, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            lab_frame.say_errors(request, error)
        else:
            messages.success(request, ngettext("%(n)d value was changed.", "%(n)d values were changed.", n) % {"n": n})
        return _to(row, found)

    def redact(self, request: HttpRequest, pk: int, sample: int) -> HttpResponse:
        """Take personal data out, after asking: it cannot be undone."""
        row, found = self._change(request, pk, sample)
        if not confirmed(request):
            sentences = [
                _("Letters and digits of names, addresses, numbers and texts are replaced; lengths stay."),
                _("What it expects is worked out anew with this version. Earlier expectations are forgotten."),
            ]
            return self._ask(request, row, found, _("Remove personal data"), sentences)
        try:
            n = golden_pins.redact(found, row, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            lab_frame.say_errors(request, error)
        else:
            messages.success(
                request, ngettext("%(n)d value was replaced.", "%(n)d values were replaced.", n) % {"n": n}
            )
        return _to(row, found)

    def read(self, request: HttpRequest, pk: int, sample: int) -> HttpResponse:
        """Read the record again from its source, with the fields that this version reads."""
        row, found = self._change(request, pk, sample)
        try:
            record = golden.read(found).id
        except (DecryptionError, ValueError, KeyError, TypeError):
            record = ""
        if not record:
            messages.error(
                request, _("Where it came from is not known any more. Pin the record again under a new name.")
            )
            return _to(row, found)
        tried = self._read(request, row, record)
        if tried is not None and tried.sample is not None:
            golden_pins.refresh(found, row, tried.sample, request.user)  # type: ignore[arg-type]
            messages.success(request, _("The record was read again. What it must become stayed as it was."))
        return _to(row, found)

    def remove(self, request: HttpRequest, pk: int, sample: int) -> HttpResponse:
        """Remove a sample, after asking."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, DELETE, row)
        found = _sample(row, sample)
        if not confirmed(request):
            sentences = [_("Versions need not satisfy it any more. That it was removed stays on record.")]
            return self._ask(request, row, found, _("Remove the sample"), sentences)
        found.delete()
        messages.success(request, _("“%(name)s” was removed.") % {"name": found.name})
        return lab_frame.back("lab_golden", row)

    def _change(self, request: HttpRequest, pk: int, sample: int) -> tuple[MappingSet, GoldenSample]:
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, CHANGE, row)
        return row, _sample(row, sample)

    def _ask(
        self, request: HttpRequest, row: MappingSet, found: GoldenSample, button: str, sentences: list[str]
    ) -> HttpResponse:
        question = Question(
            title=f"{found.name}: {button}?", sentences=sentences, button=button, danger=True,
            cancel_url=reverse("admin:lab_sample", args=[row.pk, found.pk]),
        )  # fmt: skip
        return ask(request, self.site, question)


def _sample(row: MappingSet, pk: int) -> GoldenSample:
    found = GoldenSample.objects.family(row).select_related("created_by", "updated_by").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _results(row: MappingSet) -> list[golden.Result]:
    try:
        return list(golden.try_all(row))
    except ExpressionError:
        return []


def _to(row: MappingSet, found: GoldenSample) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:lab_sample", args=[row.pk, found.pk]))


def _shown(row: MappingSet, result: golden.Result) -> dict[str, Any]:
    labels: dict[str, str] = {}
    if schema := row.target_schema:
        lines = schema.parts.get(schema.lines, {})
        labels = {name: found.label for name, found in [*lines.items(), *schema.fields.items()]}
    return {
        "sample": result.sample,
        "url": reverse("admin:lab_sample", args=[row.pk, result.sample.pk]),
        "status": show.status("ok" if result.passed else "failed", _passed(result.passed)),
        "passed": result.passed,
        "error": result.error,
        "differs": [
            {"label": golden.label_of(one.name, labels), "before": lab_frame.value(one.before),
             "after": lab_frame.value(one.after)}
            for one in result.differs
        ],
        "expected": [
            (golden.label_of(name, labels), lab_frame.value(value))
            for name, value in golden.expected_of(result.sample).items() if value is not None
        ],
    }  # fmt: skip


def _history(found: GoldenSample) -> list[dict[str, Any]]:
    """Who changed it, when and why, with what was expected before and after; newest first."""
    rows = list(found.history.select_related("history_user").order_by("-history_date", "-history_id")[:21])
    steps = []
    for number, step in enumerate(rows[:20]):
        before = rows[number + 1].expected if number + 1 < len(rows) else {}
        names = [
            name for name in dict.fromkeys([*step.expected, *before]) if step.expected.get(name) != before.get(name)
        ]
        steps.append({
            "when": show.when(step.history_date),
            "who": step.history_user or "–",
            "what": step.history_change_reason or (_("pinned") if step.history_type == "+" else _("changed")),
            "rows": [
                (golden.label_of(name, {}), show.value(before.get(name)), show.value(step.expected.get(name)))
                for name in names
            ]
            if before and step.expected else [],
        })  # fmt: skip
    return steps


def _passed(passed: bool) -> str:
    return pgettext("golden sample", "passes") if passed else pgettext("golden sample", "fails")
