"""Being told what is wrong: `tell` opens a notice, `heal` closes it, and `every_minute` sends what is due.

Whoever notices a problem says so with the same kind and key as often as it likes; people hear of it once. The
invariant: telling never fails the work that noticed, and costs one statement while nothing changed.
"""

from __future__ import annotations

import logging

from django.db import IntegrityError, models, transaction
from django.urls import reverse
from django.utils import timezone

from integrations.models import Integration, Organization
from sync.models import Notice
from sync.notices.kinds import KINDS

logger = logging.getLogger(__name__)


def tell(
    kind: str,
    organization: Organization | None,
    *,
    integration: Integration | None = None,
    key: str,
    params: dict[str, str] | None = None,
    url_name: str = "",
    obj: models.Model | str | int | None = None,
) -> Notice | None:
    """Something is wrong: open the notice of (organization, kind, key), or bring its particulars up to date.

    `kind` is one of `kinds.KINDS`; `params` fill its sentences (texts, no secrets; a `name_en` and `name_sv` pair is
    `name` in the reader's language). The notice links to `reverse("admin:" + url_name)`, with `obj` (a row or its id)
    as its argument; with `obj` alone to the row's own page. Without an organization it is about the installation.
    Safe in and outside a transaction, which it never breaks; never raises: None when it could not be kept.
    """
    try:
        with transaction.atomic():
            return _tell(kind, organization, integration, key, dict(params or {}), _address(url_name, obj))
    except IntegrityError:  # somebody else noticed it in the same moment
        return Notice.objects.open().filter(organization=organization, kind=kind, key=key[:120]).first()
    except Exception:
        logger.exception("a notice could not be kept: %s %s", kind, key)
        return None


def heal(kind: str, key: str, organization: Organization | None = None) -> bool:
    """It is right again: close the open notices of this kind and key, of every organization unless one is given.

    What was not sent yet is never sent; who was told hears that it is resolved. One statement; never raises.
    """
    try:
        rows = Notice.objects.open().filter(kind=kind, key=key[:120])
        if organization is not None:
            rows = rows.filter(organization=organization)
        with transaction.atomic():
            return rows.update(healed_at=timezone.now()) > 0
    except Exception:
        logger.exception("a notice could not be closed: %s %s", kind, key)
        return False


def _address(url_name: str, obj: models.Model | str | int | None) -> str:
    if url_name:
        pk = obj.pk if isinstance(obj, models.Model) else obj
        return reverse(f"admin:{url_name}", args=[] if pk is None else [pk])
    if isinstance(obj, models.Model):
        return reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])
    return ""


def _tell(
    kind: str, organization: Organization | None, integration: Integration | None, key: str, params: dict[str, str],
    url: str,
) -> Notice:  # fmt: skip
    now = timezone.now()
    params = {name: str(value)[:300] for name, value in params.items()}
    # What comes back before its end was told is the same trouble still: it opens again, and nobody hears of it twice.
    same = Notice.objects.filter(organization=organization, kind=kind, key=key[:120], closed_at=None)
    found = same.order_by("-pk").first()
    if found is None:
        return Notice.objects.create(
            organization=organization, integration=integration, kind=kind, level=KINDS[kind].level, key=key[:120],
            params=params, url=url,
        )  # fmt: skip
    if found.healed_at is None and found.params == params and found.url == url:
        return found
    found.params, found.url, found.changed_at, found.healed_at = params, url, now, None
    found.save(update_fields=["params", "url", "changed_at", "healed_at"])
    return found


def every_minute() -> None:
    """Look what is wrong, make messages, send those that are due. Spends a few seconds at most, and never raises."""
    from sync.notices import digest, outbox, survey

    for step in (survey.survey, outbox.announce, outbox.conclude, digest.due_digests, outbox.deliver, _forget):
        try:
            step()
        except Exception:
            logger.exception("notices: %s failed", getattr(step, "__name__", step))


def _forget() -> None:
    """What `sync.retention` says of notices and messages, a portion each night, also where nobody runs the purge."""
    from sync.retention import old_messages, old_notices

    local = timezone.localtime()
    if (local.hour, local.minute % 10) == (3, 0):
        for rows in (old_messages(local), old_notices(local)):
            ids = list(rows.order_by("pk").values_list("pk", flat=True)[:500])
            rows.model._base_manager.filter(pk__in=ids).delete()
