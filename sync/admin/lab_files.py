"""Mapping files on the page: download one, upload one. An upload shows what it would change, then makes a draft.

The file is checked as `mappings.bundle_reading` says, whatever it calls itself. The invariant: a look makes nothing,
and what is made is exactly what was looked at, because the file's own bytes are sent again, not their reading.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from mappings import bundle
from mappings.bundle_import import make_draft, preview
from mappings.bundle_reading import MAX_BYTES, BundleError, read
from sync.admin import lab_frame
from sync.lab import impact

if TYPE_CHECKING:
    from django.contrib.admin import AdminSite
    from django.urls import URLPattern

    from mappings.models import MappingSet

ADD = "mappings.add_mappingset"


def urls(site: AdminSite) -> list[URLPattern]:
    """The addresses of these pages."""
    pages = _Pages(site)

    def post(view: Any) -> Any:
        return site.admin_view(require_POST(view))

    return [
        path("lab/<int:pk>/file/", site.admin_view(pages.look), name="lab_file"),
        path("lab/<int:pk>/file/download/", site.admin_view(pages.download), name="lab_download"),
        path("lab/<int:pk>/file/upload/", post(pages.upload), name="lab_upload"),
        path("lab/<int:pk>/file/import/", post(pages.take), name="lab_import"),
    ]


class _Pages:
    def __init__(self, site: AdminSite) -> None:
        self.site = site

    def look(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The two buttons."""
        return self._page(request, lab_frame.mapping_set(request, pk), {})

    def download(self, request: HttpRequest, pk: int) -> HttpResponse:
        """This version as a file."""
        row = lab_frame.mapping_set(request, pk)
        answer = HttpResponse(bundle.export(row), content_type="application/json; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{row.slug}.json"'
        answer["X-Content-Type-Options"] = "nosniff"
        answer["Cache-Control"] = "no-store"
        return answer

    def upload(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the file would change. Makes nothing."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, ADD, row)
        given = request.FILES.get("file")
        if given is None:
            return self._page(request, row, {"refusals": [_("Choose a file first.")]})
        data = given.read(MAX_BYTES + 1)
        try:
            content = read(data)
            found = preview(row.integration, content, request.user)  # type: ignore[arg-type]
        except ValidationError as error:
            return self._page(request, row, {"refusals": error.messages, "file_name": given.name})
        context = {
            "file_name": given.name,
            "made": found,
            "slug": found.draft.slug,
            "other": found.draft.slug != row.slug,
            "sections": lab_frame.sections(found.edits),
            "data": base64.b64encode(data).decode(),
        }
        return self._page(request, row, context)

    def take(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make the draft that was shown."""
        row = lab_frame.mapping_set(request, pk)
        lab_frame.require(request, ADD, row)
        try:
            data = base64.b64decode(request.POST.get("data", "").encode("ascii"), validate=True)
        except ValueError:  # also what is no ASCII
            return self._page(request, row, {"refusals": [_("The file was damaged on its way. Choose it again.")]})
        try:
            name = " ".join(request.POST.get("file_name", "").replace("\x00", "").split())[:100]
            note = _("Imported from %(file)s") % {"file": name} if name else ""
            made = make_draft(row.integration, read(data), request.user, note=note)  # type: ignore[arg-type]
        except BundleError as error:
            return self._page(request, row, {"refusals": error.messages})
        impact.log(made.draft, "mapping imported", note, request.user)
        messages.success(request, _("Version %(n)d is a draft now. Nothing is published.") % {"n": made.draft.version})
        return lab_frame.back("lab", made.draft)

    def _page(self, request: HttpRequest, row: MappingSet, context: dict[str, Any]) -> HttpResponse:
        frame = {"may_add": request.user.has_perm(ADD, row), "limit": MAX_BYTES // 1000}
        return lab_frame.page(request, self.site, row, "file", "lab_file", frame | context)
