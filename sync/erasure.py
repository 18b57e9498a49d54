"""Erasing a person (I-15): what we hold of them goes, accounting evidence stays for its years without their name.

Who is meant is a record (all of whose values are the person's) or an e-mail address (which is removed wherever it
stands). What stays is listed with the reason and the last day. A record that was erased is frozen: whatever changes
at its source, no flow reads it into our tables again, until an owner lifts that. The invariants: nothing is written to
a remote, so the report says what must be erased there; what is on its way is left alone and said; the log keeps that
it was done, by whom and with what counts, and not whom it was about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from sync import finding
from sync.engine.routing import MOVED
from sync.erasure_texts import TOMBSTONE, Kept, Report, everywhere, replaced
from sync.history import SIDES, of_link
from sync.models import Change, EntityLink, SearchKey, SyncLogEntry
from sync.models.link import ERASED
from sync.repair import dismiss
from sync.retention import evidence, kept_until
from sync.states import OPEN, REPLACEABLE
from sync.values import load


def erase(
    *, links: Sequence[EntityLink], texts: Iterable[str], integrations: Sequence[int], user: Any, dry_run: bool,
    reason: str = "",
) -> Report:  # fmt: skip
    """Erase the persons behind `links`, and every text of `texts`, in these integrations; one transaction. `reason` is
    shown at the records, without the texts that are erased."""
    report = Report()
    with transaction.atomic():
        needles = {text.strip() for text in texts if len(text.strip()) >= finding.SHORTEST}
        for link in links:
            needles |= _identifiers(link)
        for link in links:
            _whole_record(link, user, report)
            _freeze(link, user, replaced(reason.strip(), sorted(needles, key=len, reverse=True)), report)
        needles.discard(TOMBSTONE)  # a record that was erased before
        if needles:
            everywhere(sorted(needles, key=len, reverse=True), integrations, report)
        if not dry_run:
            _audit(links, integrations, user, report)
        else:
            transaction.set_rollback(True)
    return report


def linked_to(email: str, integrations: Sequence[int]) -> list[EntityLink]:
    """Records that carry the address: for the person who decides which of them is the person."""
    keys = SearchKey.objects.filter(integration_id__in=integrations, kind="email", value=email.strip().casefold())
    wanted = Q(pk__in=[])
    for key in keys[:200]:
        wanted |= Q(
            **{"integration_id": key.integration_id, f"{key.side}_object": key.object, f"{key.side}_id": key.record_id}
        )
    return list(EntityLink.objects.filter(wanted))


def same_record(links: Sequence[EntityLink], integrations: Sequence[int]) -> list[EntityLink]:
    """Other links of the same remote records: they hold the same person under another flow or company."""
    wanted = Q(pk__in=[])
    for link in links:
        for side in SIDES:
            names = (f"{side}_object", f"{side}_id", f"integration__{side}_account")
            account = getattr(link.integration, f"{side}_account_id")
            wanted |= Q(**dict(zip(names, (*(getattr(link, name) for name in names[:2]), account), strict=True)))
    found = EntityLink.objects.filter(wanted, integration_id__in=integrations)
    return list(found.exclude(pk__in=[link.pk for link in links]))


def lift(link: EntityLink, user: Any, reason: str) -> bool:
    """Let the record be read and copied again; False when nobody was erased. What was erased does not come back by
    itself: the next run that meets the record reads it anew."""
    with transaction.atomic():
        fresh = EntityLink.objects.select_for_update(of=("self",)).get(pk=link.pk)
        if not fresh.erased:
            return False
        emptied = {f"{side}_{name}": "" for side in SIDES for name in ("fingerprint", "version")}
        EntityLink.objects.filter(pk=fresh.pk).update(frozen_reason="", **emptied)
        SyncLogEntry.objects.create(
            integration_id=fresh.integration_id, user=user, event="erasure lifted",
            message=f"by {user}; link {fresh.pk}; {reason}"[:2000],
        )  # fmt: skip
    return True


def _identifiers(link: EntityLink) -> set[str]:
    """What identifies the person of a record elsewhere: its name, its addresses, its numbers."""
    found = {link.title}
    for side in SIDES:
        for stored in getattr(link, f"agreed_{side}").values():
            value = load(stored) if not isinstance(stored, dict) or "$" in stored else None
            if isinstance(value, str) and any(kind in ("email", "org") for kind, _key in finding.keys_of("", [stored])):
                found.add(value)
    return {text for text in found if len(text.strip()) >= finding.SHORTEST}


# --- a whole record -----------------------------------------------------------------------------------------------


def _whole_record(link: EntityLink, user: Any, report: Report) -> None:
    rows = Change.objects.filter(of_link(link))
    waiting = rows.filter(state__in=REPLACEABLE)
    report.erased["changes closed"] += dismiss(
        Change.objects.filter(pk__in=list(waiting.values_list("pk", flat=True))), user, "The person was erased."
    )
    for change in rows.filter(state__in=OPEN):
        report.kept.append(Kept(f"change {change.pk}", _("It is on its way. Erase again when its outcome is known.")))
    done = Change.objects.filter(of_link(link)).exclude(state__in=OPEN)
    proofs = list(done.filter(evidence()).select_related("mapping_set"))
    for change in proofs:
        _tombstone(change, report)
    plain = done.exclude(pk__in=[change.pk for change in proofs])
    ids = list(plain.values_list("pk", flat=True))
    report.erased["changes"] += Change.objects.filter(pk__in=ids).update(
        source_title=TOMBSTONE, target_title="", claim="", diff=[], payload={}, agreed={}, candidates=[], checks=[],
        problems=[], edits={}, error_message="", error_value="", actor="",
    )  # fmt: skip
    report.erased["log entries"] += SyncLogEntry.objects.filter(change_id__in=ids, exchange__isnull=False).update(
        exchange=None
    )
    places = Q()
    for side in SIDES:
        places |= Q(side=side, object=getattr(link, f"{side}_object"), record_id=getattr(link, f"{side}_id"))
        report.elsewhere.append(
            _("%(system)s still has %(object)s %(id)s. Erase the person there too; we read it no more.")
            % {
                "system": link.integration.account(side), "object": getattr(link, f"{side}_object"),
                "id": getattr(link, f"{side}_id"),
            }
        )  # fmt: skip
    gone, _details = SearchKey.objects.filter(places, integration_id=link.integration_id).delete()
    report.erased["search keys"] += gone
    EntityLink.objects.filter(pk=link.pk).update(
        title=TOMBSTONE, agreed_crm={}, agreed_ledger={}, sent_crm={}, sent_ledger={}
    )
    report.erased["links"] += 1


def _freeze(link: EntityLink, user: Any, reason: str, report: Report) -> None:
    """Whatever changes at either side, nothing of the record is read again."""
    if link.frozen_reason.startswith(MOVED):
        why = _("It was moved to another company, which copies the person. Erase the record there too.")
        report.kept.append(Kept(f"link {link.pk}", why))
        return
    why = f"{timezone.localdate().isoformat()} {user or 'command'}" + (f": {reason}" if reason else "")
    EntityLink.objects.filter(pk=link.pk).update(frozen_reason=f"{ERASED} {why}"[:300])
    report.stopped.append(
        _("%(crm)s %(crm_id)s and %(ledger)s %(ledger_id)s: read no more. An owner can lift that at record %(number)s.")
        % {
            "crm": link.crm_object, "crm_id": link.crm_id, "ledger": link.ledger_object,
            "ledger_id": link.ledger_id, "number": link.pk,
        }
    )  # fmt: skip


def _tombstone(change: Change, report: Report) -> None:
    """Evidence keeps what the document says; our own lists no longer name the person."""
    until = kept_until(change.finished_at or change.updated_at)
    Change.objects.filter(pk=change.pk).update(
        source_title=TOMBSTONE, target_title=change.target_id or TOMBSTONE, actor=""
    )
    report.kept.append(
        Kept(
            _("change %(number)s and its exchanges: document %(document)s")
            % {"number": change.pk, "document": change.target_id or change.remote_reference},
            _("Accounting evidence. The name is removed from our lists, not from the document."),
            until.isoformat(),
        )
    )
    report.erased["names of evidence"] += 1


def _audit(links: Sequence[EntityLink], integrations: Sequence[int], user: Any, report: Report) -> None:
    touched = {link.integration_id for link in links} or set(integrations)
    counts = ", ".join(f"{name} {n}" for name, n in sorted(report.erased.items()) if n)
    records = ", ".join(f"link {link.pk}" for link in links)
    SyncLogEntry.objects.bulk_create(
        SyncLogEntry(
            integration_id=pk, user=user, event="person erased",
            message=f"by {user or 'command'}; {records or 'by address'}; {counts}; kept {len(report.kept)}"[:2000],
        )
        for pk in sorted(touched)
    )  # fmt: skip
