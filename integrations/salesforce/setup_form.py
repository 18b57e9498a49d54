"""What an administrator enters about an org: where it signs in, the app made there, and how we are to sign in."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from integrations.errors import InvalidData
from integrations.fields import conceal
from integrations.models import ConnectedAccount
from integrations.salesforce.address import is_my_domain, sign_in_address

Grant = ConnectedAccount.Grant
MY_DOMAIN, LOGIN, TEST = "my_domain", "production", "sandbox"


def general_address(place: str) -> str:
    """The general login page of production orgs or of sandboxes."""
    vendor = settings.VENDORS["salesforce"]
    return str(vendor["test_url" if place == TEST else "oauth_url"]).rstrip("/")


class SalesforceAppForm(forms.Form):
    """Nothing of a stored secret is ever shown; an empty one means: as it was."""

    grant = forms.ChoiceField(
        label=_("How we sign in"),
        widget=forms.RadioSelect,
        choices=[
            (Grant.CLIENT_CREDENTIALS, _("As a service user (client credentials): recommended, nobody need sign in")),
            (Grant.JWT_BEARER, _("As a service user with a certificate (JWT bearer)")),
            (Grant.CODE, _("A person signs in and approves (with a refresh token)")),
        ],
    )
    place = forms.ChoiceField(
        label=_("Where the org signs in"),
        widget=forms.RadioSelect,
        choices=[
            (MY_DOMAIN, _("At its own address (My Domain)")),
            (LOGIN, _("At the general production login")),
            (TEST, _("At the general sandbox login")),
        ],
    )
    address = forms.CharField(
        label=_("Address of the org"),
        required=False,
        max_length=200,
        help_text=_(
            "For example nordkraft.my.salesforce.com. The address of any page of the org in your browser works too."
        ),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
    )
    client_id = forms.CharField(
        label=_("Consumer key"),
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}),
    )
    client_secret = forms.CharField(
        label=_("Consumer secret"),
        required=False,
        max_length=300,
        widget=forms.PasswordInput(attrs={"class": "vTextField", "autocomplete": "new-password"}),
    )
    username = forms.CharField(
        label=_("User name of the service user"),
        required=False,
        max_length=200,
        help_text=_("Only for the certificate: whom we sign in as, for example integration@nordkraft.se."),
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )
    currency = forms.RegexField(
        r"\A[A-Za-z]{3}\Z",
        label=_("Currency of the org"),
        help_text=_("Of an org with one currency, as three letters. Where several are active, records say their own."),
        widget=forms.TextInput(attrs={"size": "4", "maxlength": "3"}),
    )

    def __init__(self, account: ConnectedAccount, data: Any = None) -> None:
        self.account = account
        super().__init__(data, initial=_initial(account))
        stored = bool(account.client_secret)
        self.fields["client_secret"].help_text = (
            _("Stored encrypted and never shown. Leave empty to keep the one that is stored.")
            if stored
            else _("Stored encrypted and never shown again. Not needed with a certificate.")
        )

    def clean(self) -> dict[str, Any]:
        """The sign-in address under `oauth_url`, and what the chosen way of signing in needs."""
        data: dict[str, Any] = super().clean() or {}
        grant, place = data.get("grant"), data.get("place")
        if place == MY_DOMAIN:
            self._clean_address(data)
        elif place:
            data["oauth_url"] = general_address(place)
        if grant == Grant.CLIENT_CREDENTIALS and "oauth_url" in data and not is_my_domain(data["oauth_url"]):
            self.add_error("place", _("A service user signs in at the org's own address only."))
        if grant == Grant.JWT_BEARER and not data.get("username"):
            self.add_error("username", _("With a certificate the user name is needed."))
        if grant != Grant.JWT_BEARER and not (data.get("client_secret") or self.account.client_secret):
            self.add_error("client_secret", _("The consumer secret is needed."))
        return data

    def _clean_address(self, data: dict[str, Any]) -> None:
        if not data.get("address"):
            self.add_error("address", _("Enter the org's address."))
            return
        try:
            data["oauth_url"] = sign_in_address(data["address"])
        except InvalidData:
            self.add_error(
                "address",
                _("This is not an address of Salesforce. It ends with .my.salesforce.com or .lightning.force.com."),
            )

    def apply(self) -> ConnectedAccount:
        """The account with what was entered. A new row keeps it at once; one that is connected only the currency: a
        sign-in that fails must not spoil the one that works."""
        data, account = self.cleaned_data, self.account
        account.details = account.details | {"currency": data["currency"].upper()}
        account.save(update_fields=["details"])
        account.grant, account.oauth_url = data["grant"], data["oauth_url"]
        account.client_id, account.username = data["client_id"].strip(), data["username"].strip()
        if data["client_secret"]:
            conceal(account, "client_secret", data["client_secret"].strip())
        if account.status == ConnectedAccount.Status.NEW:
            account.api_url = account.oauth_url
            account.save(update_fields=["grant", "oauth_url", "api_url", "client_id", "username", "client_secret"])
        return account


def _initial(account: ConnectedAccount) -> dict[str, Any]:
    """What is stored, without secrets; a new account begins with what we recommend."""
    entered = bool(account.client_id)
    place = {general_address(LOGIN): LOGIN, general_address(TEST): TEST}.get(account.oauth_url, MY_DOMAIN)
    return {
        "grant": account.grant if entered else Grant.CLIENT_CREDENTIALS,
        "place": place if entered else MY_DOMAIN,
        "address": account.oauth_url if entered and place == MY_DOMAIN else "",
        "client_id": account.client_id,
        "username": account.username,
        "currency": account.details.get("currency") or "SEK",
    }
