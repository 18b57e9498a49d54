"""Salesforce as a host of cards: it posts into the frame itself, so the page opens without a call before it.

Salesforce: an administrator may let people approve the app themselves; until somebody has, the frame is opened with a
GET that says so. The invariant: what is not proven is refused without a reason; what is proven but cannot be shown
gets words that help.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from integrations.authorization import redirect_uri
from integrations.cards import APPROVED, CardCaller, CardRefused, Facts
from integrations.connector import Value
from integrations.fields import reveal
from integrations.inbox import length_of
from integrations.models import ConnectedAccount
from integrations.salesforce import canvas, events
from integrations.salesforce.client import SYSTEM

MAX_BODY = 128 * 1024
FORM = "application/x-www-form-urlencoded"
_APPROVAL = ("_sfdc_canvas_auth", "_sfdc_canvas_authvalue")
"""Salesforce's guide has the second name, its pages send the first."""

_STATUSES = MappingProxyType(
    {
        "draft": "draft",
        "unbooked": "unbooked",
        "booked": "booked",
        "sent": "sent",
        "partly paid": "partly_paid",
        "paid": "paid",
        "overdue": "overdue",
        "credited": "credited",
        "cancelled": "cancelled",
    }
)
_NAMES = MappingProxyType(
    {
        "Fortnox_Invoice_Date__c": "invoice_date",
        "Fortnox_Due_Date__c": "due_date",
        "Fortnox_Paid_Date__c": "paid_date",
        "Fortnox_Total__c": "total",
        "Fortnox_Balance__c": "balance",
        "Fortnox_Currency__c": "currency",
    }
)


class SalesforceCard:
    """See the module's docstring."""

    def frame_ancestors(self, account: UUID) -> tuple[str, ...]:
        """The hosts of that account's own org; none for an account that is not there."""
        found = ConnectedAccount.objects.filter(pk=account, system=SYSTEM).only("api_url").first()
        return canvas.frame_ancestors(found) if found else ()

    @sensitive_variables("signed", "looking")
    def arrive(self, request: HttpRequest, account: UUID) -> CardCaller:
        """Who looks at which record. Raises `CardRefused`: with `told` where it is proven who asks, or where nothing
        secret is said (`approve`)."""
        found = ConnectedAccount.objects.filter(pk=account, system=SYSTEM).first()
        if found is None or found.status == ConnectedAccount.Status.DISCONNECTED:
            raise CardRefused(403, "unknown_account")
        if request.method == "GET":
            raise _opened(request, found)
        signed = _signed(request)
        try:
            looking = canvas.read(canvas.verify(signed, reveal(found, "client_secret")), found)
        except canvas.NotSigned as reason:
            raise CardRefused(403, str(reason)) from None
        if not canvas.first_time(found, signed):
            raise CardRefused(409, "repeated", told="repeated", locale=looking.locale)
        if not looking.record_id:
            raise CardRefused(400, "no_record", told="no_record", locale=looking.locale)
        try:
            canvas.require_sight(found, looking)
        except canvas.NotSeen as unseen:
            status = 503 if unseen.reason == "unreachable" else 403
            raise CardRefused(status, unseen.reason, told=unseen.reason, locale=looking.locale) from None
        return CardCaller(
            account=found,
            user_id=looking.user_id,
            user_email=looking.email,
            object=events.names_of(found).get(looking.remote, looking.remote),
            record_id=looking.record_id,
            locale=looking.locale,
        )


def _opened(request: HttpRequest, account: ConnectedAccount) -> CardRefused:
    """Why the frame was opened without a signed request: the person must approve the app first, or typed it."""
    if not any(request.GET.get(name) == "user_approval_required" for name in _APPROVAL):
        return CardRefused(400, "not_posted", told="not_posted")
    return CardRefused(403, "not_approved", told="approve", link=approval_url(account))


def approval_url(account: ConnectedAccount) -> str:
    """Where the person approves the app: the org's own sign-in page, as we know it, whatever the frame's address
    says. Salesforce notes the approval before it sends the person back."""
    query = {
        "response_type": "code",
        "client_id": account.client_id,
        "redirect_uri": redirect_uri(SYSTEM),
        "state": APPROVED,
        # The app demands a challenge. Nobody knows what it was made of, so the code that comes back is of no use.
        "code_challenge": secrets.token_urlsafe(32),
        "code_challenge_method": "S256",
    }
    return f"{account.api_url.rstrip('/')}/services/oauth2/authorize?{urlencode(query)}"


def _signed(request: HttpRequest) -> str:
    """The signed request of the form. Raises `CardRefused`."""
    if length_of(request) > MAX_BODY:
        raise CardRefused(413, "too_large")
    given = request.POST.getlist("signed_request") if request.content_type == FORM else []
    if len(given) != 1:
        raise CardRefused(400, "no_signed_request")
    return given[0]


def facts(object_name: str, values: Mapping[str, Value]) -> Facts:
    """What the fields of our package say on a record: of an account its organisation number, of everything that is
    invoiced the invoice's state, dates and amounts."""
    text = str(values.get("Fortnox_Status__c") or "")
    return Facts(
        organisation_number=str(values.get("Fortnox_Organisation_Number__c") or ""),
        status=_STATUSES.get(text.strip().lower(), ""),
        status_text=text,
        values={ours: values.get(theirs) for theirs, ours in _NAMES.items()},
    )
