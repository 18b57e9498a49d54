"""What an attack on the workplace found: owners elsewhere, sessions that are half signed in, hostile files."""

from __future__ import annotations

import io
import tracemalloc
from binascii import unhexlify
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django_otp.plugins.otp_totp.models import TOTPDevice, default_key

from integrations import authorization, people
from integrations.hosts import _is_inner
from integrations.models import Membership
from integrations.sheets import cell, write_rows
from mappings.bundle_reading import BundleError, read
from tests import factories as make

pytestmark = pytest.mark.django_db
HOME, TOKEN, SET_UP = "/admin/", "/admin/two-factor/", "/admin/two-factor/set-up/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- People ----------------------------------------------------------------------------------------------------------


def step(member: Membership, name: str) -> str:
    return reverse("admin:integrations_people_step", args=[member.organization_id, member.pk, name])


def test_nobody_takes_the_brake_off_somebody_by_inviting_them() -> None:
    """Whoever owns any organization could add a known address to it, guess, unlock, and guess for ever."""
    victim = make.make_user("victim", organization=make.make_organization(), role="owner")
    victim.email = "victim@a.example"
    victim.save()
    organization = make.make_organization()
    attacker = signed_in(make.make_user("attacker", organization=organization, role="owner"))
    invite = reverse("admin:integrations_people_invite", args=[organization.pk])
    answer = attacker.post(invite, {"email": victim.email, "role": "viewer"}, follow=True)
    assert "Make sure that it is theirs" in answer.content.decode()  # somebody else chose how it is signed in to
    AccessAttempt.objects.create(username="victim", ip_address="192.0.2.1", failures_since_start=5)
    member = organization.memberships.get(user=victim)
    page = attacker.post(step(member, "unlock"), follow=True).content.decode()
    assert AccessAttempt.objects.exists() and "also belongs elsewhere" in page


def test_the_second_step_of_somebody_with_rights_everywhere_is_not_an_owners_to_take() -> None:
    organization = make.make_organization()
    owner = make.make_user("owner", organization=organization, role="owner")
    helper = make.make_user("helper", permissions="auth.change_user")
    member = Membership.objects.create(organization=organization, user=helper, role="viewer")
    TOTPDevice.objects.create(user=helper, name="app", confirmed=True)
    signed_in(owner).post(step(member, "reset"), {"confirmed": 1})
    assert TOTPDevice.objects.exists() and not people.may_reset(helper, owner)


def test_a_member_who_became_an_owner_meanwhile_counts_as_one() -> None:
    """Two requests at once: what the first one read before the lock is no reason to leave nobody."""
    organization = make.make_organization()
    stale = make.make_user("anna", organization=organization, role="viewer").memberships.get()
    Membership.objects.filter(pk=stale.pk).update(role="owner")
    for refused in (people.remove, lambda row: people.change_role(row, "viewer")):
        with pytest.raises(ValueError, match="at least one owner"):
            refused(stale)
    assert organization.memberships.get().role == "owner"


def test_a_session_from_before_the_second_step_does_not_replace_it() -> None:
    """Whoever stole a session before its person enrolled would enrol a telephone of their own, and lock them out."""
    user = make.make_user("anna", organization=make.make_organization())
    stolen = signed_in(user)
    key = default_key()
    people.enrol(user, key, at=-1)
    for answer in (stolen.get(SET_UP), stolen.post(SET_UP, {"code": "000000"})):
        assert answer.status_code == 302 and answer["Location"].startswith(TOKEN)
    page = stolen.get(f"{TOKEN}?next={SET_UP}")
    assert page.status_code == 200 and 'name="otp_token"' in page.content.decode()
    from django_otp.oath import totp

    answer = stolen.post(TOKEN, {"otp_token": f"{totp(unhexlify(key)):06d}", "next": SET_UP})
    assert answer["Location"] == SET_UP and stolen.get(SET_UP).status_code == 200


def test_a_right_that_was_lost_during_a_consent_is_not_used_at_its_end(settings: Any) -> None:
    settings.VENDORS["hubspot"] |= {"client_id": "app", "client_secret": "s"}
    account = make.make_account(system="hubspot")
    user = make.make_user(organization=account.organization, role="consultant")
    url = authorization.start(account, user, "session")
    state = url.split("state=")[1].split("&")[0]
    user.memberships.update(role="viewer")
    again = User.objects.get(pk=user.pk)
    arrival = authorization.Arrival("hubspot", again, "session", {"state": (state,), "code": ("x",)})
    with pytest.raises(authorization.Refused, match="may not connect"):
        authorization.finish(arrival)


def test_an_org_is_asked_only_for_those_who_may_make_sources_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form asked the remote on opening, also for somebody who only looks there and works elsewhere."""
    from integrations import custom_admin

    asked: list[Any] = []
    monkeypatch.setattr(custom_admin, "_objects", lambda client: asked.append(client))
    there, here = make.make_account(system="salesforce"), make.make_account(system="salesforce")
    user = make.make_user(organization=here.organization, role="consultant")
    Membership.objects.create(organization=there.organization, user=user, role="viewer")
    page = signed_in(user).get(f"/admin/integrations/customsource/add/?account={there.pk}").content.decode()
    assert not asked and f'<option value="{there.pk}"' not in page and f'<option value="{here.pk}"' in page


# --- Lists -----------------------------------------------------------------------------------------------------------


def test_no_list_runs_a_pattern_of_its_reader(settings: Any) -> None:
    """A pattern that never ends (SQLite runs them in our own process) would hold a web worker for ever."""
    client = signed_in(make.make_superuser())
    make.make_change(source_title="a" * 60 + "!")
    tried = 0
    for model in (model for model in admin.site._registry if model is not User):  # superusers look at those
        names = [field.name for field in model._meta.fields if field.get_internal_type() in ("CharField", "SlugField")]
        try:
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        except NoReverseMatch:
            continue
        for name in names[:2]:
            for lookup in ("regex", "iregex"):
                answer = client.get(url, {f"{name}__{lookup}": "^(a+)+$"})
                own = "routingrule" in url or "workerheartbeat" in url  # pages of their own, which read no such thing
                assert own or answer.status_code == 400, (url, name, answer.status_code)
                tried += 1
    assert tried > 40


# --- Files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bomb", "code"),
    [
        (b'{"a": "' + b'\\"' * 400_000, "damaged"),  # each quotation mark was tried as a beginning: hours
        (b'{"' + b"k" * 200_000 + b'": {"a": [' + b"1," * 2_000 + b"1]}}", "refused"),  # its path, 2000 times
        (b'{"a": {"' + b'"": {"'.join([b"k" * 90_000] * 4) + b'": 1}}}}}', "refused"),
    ],
    ids=["quotes", "long key", "long path"],
)
def test_a_file_that_would_eat_time_or_memory_is_refused(bomb: bytes, code: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BundleError) as refused:
            read(bomb)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert refused.value.code == code and len(refused.value.messages[0]) < 500


def test_no_cell_becomes_a_formula_where_commas_part_columns() -> None:
    """Excel with English settings parts at commas, whatever the quotation marks of our columns."""
    for text in ("x,=1+1", "a\n=1+1", 'a, "@SUM(1)', "a\t+1", "a,\n -2+3", "å,＝1", "x,'=1"):
        line = next(iter(list(write_rows(["n"], [[text]]))[1:]))
        for part in line.replace("\r\n", "\n").replace("\t", "\n").replace(",", "\n").split("\n"):
            assert not part.lstrip(' "').startswith(("=", "+", "-", "@", "＝")), (text, part)
    assert cell("Malmö, Sverige – 50 % (a-b)") == "Malmö, Sverige – 50 % (a-b)"


# --- Chat ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::10.0.0.1", "64:ff9b:1::a00:1", "::127.0.0.1", "::ffff:0:127.0.0.1", "fec0::1", "2002:a00:1::", "::2"],
)
def test_an_inner_address_in_the_clothes_of_another_is_inner(address: str) -> None:
    """Translating gateways (NAT64, SIIT) carry these to the IPv4 address inside."""
    assert _is_inner(address)
    assert not _is_inner("64:ff9b::8.8.8.8") and not _is_inner("2606:4700::1111")


# --- Erasing ---------------------------------------------------------------------------------------------------------


def test_an_erased_person_stands_nowhere_that_the_workplace_brought() -> None:
    """Decisions about matching, reconciliations, shadow reports, samples and what history keeps of removed samples."""
    from datetime import date

    from django.apps import apps
    from django.core.management import call_command
    from django.utils import timezone

    from mappings.models import GoldenSample
    from mappings.models.editor import EditorSample
    from sync.models import (
        MatchDecision,
        Reconciliation,
        ReconciliationDocument,
        ReconciliationLine,
        ShadowLine,
        ShadowReport,
    )  # fmt: skip

    change, days = make.make_change(), {"starts": date(2026, 1, 1), "ends": date(2026, 1, 31)}
    pair = change.integration
    draft = make.make_mapping_set(pair, slug="b", state="draft")
    MatchDecision.objects.create(
        integration=pair, flow=change.flow, kind="create", source_id="1", source_title="Nora Ek AB"
    )
    sample = GoldenSample.objects.create(integration=pair, slug="b", name="Nora Ek", expected={"f": "Nora Ek"})
    sample.delete()  # what is left of it is its history
    EditorSample.objects.create(
        user=make.make_user(), mapping_set=draft, source_id="1", title="Nora Ek", expires_at=timezone.now()
    )
    report = ShadowReport.objects.create(integration=pair, **days)
    ShadowLine.objects.create(
        report=report, verdict="differs", source_id="1", source_title="Nora Ek", differences=[["a", "Nora Ek"]]
    )
    now, words = timezone.now(), {"en": "Of Nora Ek"}
    for signed in ({}, {"signed_at": now, "signed_name": "Bo"}):
        row = Reconciliation.objects.create(integration=pair, state="done", finished_at=now, **days)
        ReconciliationDocument.objects.create(reconciliation=row, side="crm", record_id="1", customer="Nora Ek")
        ReconciliationLine.objects.create(
            reconciliation=row, kind="not_synced", explained=True, ledger_id="1", title="Nora Ek", explanation=words
        )
        Reconciliation.objects.filter(pk=row.pk).update(**signed)
    told = io.StringIO()
    call_command("erase_person", organization=str(pair.organization_id), email=[], name=["Nora Ek"], stdout=told)
    left = {
        model.__name__: str(list(model._base_manager.values()))
        for app in ("mappings", "sync")
        for model in apps.get_app_config(app).get_models()
    }
    assert [name for name, text in left.items() if "nora" in text.casefold()] == ["ReconciliationLine"]
    assert left["ReconciliationLine"].count("Nora Ek") == 1 and "signed off" in told.getvalue()
