"""What Salesforce's token endpoint refuses: by its `error`, and by the text of `invalid_grant`, which stands for many.

Sources, in words: published open-source clients and public threads. The invariant: every refusal known has an entry.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

from integrations.catalogue import Entry, Repair, Responsible, patterns, table
from integrations.errors import ErrorClass as C

R = Responsible

_APP = Entry(
    C.CONFIGURATION,
    _("Salesforce does not know the app: the consumer key is wrong, or the app is not installed in this org."),
    _("Compare the key with the external client app in Salesforce, and see that its policies allow our user."),
    R.CONSULTANT,
    repair=Repair.ACCOUNT,
)
_SECRET = Entry(
    C.CONFIGURATION,
    _("Salesforce does not accept the app's consumer secret or callback address."),
    _("Enter the secret of the external client app again, and register our callback address with the app."),
    R.CONSULTANT,
    repair=Repair.ACCOUNT,
)

# What the token endpoint answers as `error`; `invalid_grant` says more in its text, see below.
SIGN_IN = table(
    "salesforce",
    {
        "invalid_client_id": _APP,
        "invalid_client": _SECRET,
        "redirect_uri_mismatch": _SECRET,
        "inactive_user": Entry(
            C.AUTHENTICATION,
            _("The Salesforce user that we work as is inactive."),
            _("Activate the user in Salesforce, or reconnect as another one."),
            R.CONSULTANT,
        ),
        "inactive_org": Entry(
            C.AUTHENTICATION,
            _("The Salesforce org is locked, closed, or its trial has ended."),
            _("Ask Salesforce about the org, then reconnect."),
            R.CONSULTANT,
        ),
    },
)


def _refused(cause: str, remedy: str) -> Entry:
    return Entry(C.AUTHENTICATION, cause, remedy, R.CONSULTANT)


TEXTS = patterns(
    "salesforce",
    {
        r"invalid code verifier|expired authorization code": _refused(
            _("The sign-in took too long, or was continued in another browser."), _("Connect Salesforce again.")
        ),
        r"expired access/refresh token": _refused(
            _("Salesforce ended the connection: it was revoked, unused for too long, or its token was used twice."),
            _("Reconnect Salesforce."),
        ),
        r"hasn't approved this consumer": _refused(
            _("The administrator has not yet allowed the app for our user."),
            _("Assign the app's permission set to the user, with “admin approved users are pre-authorized”."),
        ),
        r"audience is invalid": _refused(
            _("The sign-in address does not belong to this kind of org."),
            _("Choose production or sandbox as the org is, then connect again."),
        ),
        r"not supported on this domain": _refused(
            _("A service account signs in at the org's own address (My Domain) only."),
            _("Enter the org's My Domain as sign-in address."),
        ),
        r"no client credentials user enabled": _refused(
            _("The app has no user to run as."),
            _("Choose the run-as user in the app's policies (client credentials flow) in Salesforce."),
        ),
        r"ip restricted": _refused(
            _("Salesforce does not allow our network address for the app or the user's profile."),
            _("Allow this installation's address in Salesforce, or relax the IP policy of the app."),
        ),
    },
)
