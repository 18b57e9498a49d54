"""Is this Salesforce org ready? Asked of the org now, one line per condition, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable

from django.utils.formats import date_format
from django.utils.timezone import localtime

from integrations.connector import ReadinessLine, Setup
from integrations.errors import AuthenticationFailed, Misconfigured, RateLimited, SyncError
from integrations.salesforce import ids, object_rights, schema_check, soql, usage
from integrations.salesforce.client import Salesforce
from integrations.salesforce.deployments import wanted_permission_sets
from integrations.salesforce.schema import Objects
from integrations.words import every as _
from integrations.words import listed

SHOWN = 12


def require(objects: Objects, setup: Setup) -> None:
    """See that what a flow needs at the org is there and may be written. Raises `Misconfigured` ("package_missing")
    that names all that is not. What was just deployed may not be known yet, so the org is asked anew."""
    objects.catalogue.forget(objects.remote(name) for name in setup.fields)
    missing = []
    for name, definitions in setup.fields.items():
        remote = objects.remote(name)
        described = objects.catalogue.find(remote)
        fields = described.fields if described else {}
        names = [str(definition["name"]) for definition in definitions]
        missing += [f"{remote}.{field}" for field in names if field not in fields or not fields[field].schema.writable]
    if missing:
        raise Misconfigured(
            f"Not there, or not to be written by the integration user: {', '.join(missing)}. "
            "Open the schema check of the connected account, deploy the package, assign the permission set "
            "Fortnox_Integration.",
            code="package_missing",
            field=missing[0].partition(".")[2],
            value=", ".join(missing),
        )


def check(client: Salesforce, objects: Objects) -> list[ReadinessLine]:
    """The readiness lines. A dead connection ends the questions; anything else is one line."""
    lines: list[ReadinessLine] = []
    questions: list[Callable[[], list[ReadinessLine]]] = [
        lambda: [_version(client)],
        lambda: [_org(client)],
        lambda: _package(client),
        lambda: [_currency(client, objects)],
        lambda: [_features(objects)],
        lambda: [_sharing(client)],
    ]
    for question in questions:
        try:
            lines += question()
        except AuthenticationFailed as error:
            title, fix = _("The connection works"), _("Reconnect Salesforce.")
            lines.append(ReadinessLine("token", "error", title, error.message, fix))
            break
        except RateLimited as error:
            lines.append(
                ReadinessLine(
                    "busy", "warning", _("Not everything was asked"), error.message, _("Check again later today.")
                )
            )
            break
        except SyncError as error:
            lines.append(
                ReadinessLine(
                    "answer", "warning", _("Salesforce's answer"), error.message, _("Check again in a minute.")
                )
            )
    return [*lines, _usage(client)]


def _version(client: Salesforce) -> ReadinessLine:
    """The pinned version must be among those that the org's server speaks."""
    title = _("API version")
    listed = [row.get("version") for row in client.versions() if isinstance(row, dict)]
    offered = [version for version in listed if isinstance(version, str)]
    if client.version.removeprefix("v") in offered:
        return ReadinessLine("version", "ok", title, client.version)
    fix = _("Set SALESFORCE_API_VERSION to one that the org offers: %(versions)s") % {
        "versions": ", ".join(offered[-5:])
    }
    return ReadinessLine("version", "error", title, _("The org does not offer %s.") % client.version, fix)


def _org(client: Salesforce) -> ReadinessLine:
    """The org must be the one that was connected. The refresh of a sandbox copies our fields and user into a new org,
    whose keys then speak of the production company."""
    account = client.api.account
    title = _("The org is the one that was connected")
    rows = client.query("SELECT Id, Name, IsSandbox FROM Organization", kind="organization")
    row = rows[0] if rows else {}
    is_sandbox = row.get("IsSandbox") is True
    same = isinstance(row.get("Id"), str) and ids.same(str(row["Id"]), account.remote_id)
    if same and account.details.get("is_sandbox", is_sandbox) == is_sandbox:
        kind = _("sandbox") if is_sandbox else _("production")
        return ReadinessLine("org", "ok", title, listed((str(row.get("Name") or "")[:100], kind), " · "))
    detail = _("It answers as %(id)s, another org or a refreshed sandbox.") % {"id": str(row.get("Id"))[:18]}
    fix = _("Nothing is sent to it. Connect the org as a new account; its copied keys belong to the old one.")
    return ReadinessLine("org", "error", title, detail, fix)


def _package(client: Salesforce) -> list[ReadinessLine]:
    """Our fields, and that our user may see and edit them."""
    title = _("Fortnox package")
    found = schema_check.check(client.api.account, client)
    lines = []
    if found.unassigned:
        fix = _("Setup, Permission Sets: assign them to the integration's user.")
        sets = ", ".join(found.unassigned)
        lines.append(ReadinessLine("permission_set", "error", _("Permission sets"), sets, fix))
    if found.lacking:
        rights = listed(f"{one.object}: {one.word}" for one in found.lacking)
        fix = _("Setup, Permission Sets: give the integration's user these rights on the objects; our package does.")
        lines.append(ReadinessLine("object_rights", "error", _("Rights on objects"), rights, fix))
    if not found.wrong:
        detail = _("All %(count)s fields are there and can be written.") % {"count": found.total}
        return [*lines, ReadinessLine("package", "ok", title, detail)]
    wrong = [f"{line.field.full_name} ({line.word})" for entry in found.objects for line in entry.lines if line.problem]
    more = " …" if len(wrong) > SHOWN else ""
    fix = _("Deploy the package from the account's page, or install it by hand.")
    return [*lines, ReadinessLine("package", "error", title, ", ".join(wrong[:SHOWN]) + more, fix)]


def _currency(client: Salesforce, objects: Objects) -> ReadinessLine:
    """Which currencies there are, and the one that amounts without a currency are in."""
    title = _("Currencies")
    several = "CurrencyIsoCode" in objects.catalogue.get("Account").fields
    known = client.api.account.details.get("multi_currency")
    if known is not None and bool(known) != several:
        fix = _("Reconnect the account, so that it is known.")
        return ReadinessLine("currencies", "warning", title, _("The org's currency settings have changed."), fix)
    if several:
        rows = client.query("SELECT IsoCode FROM CurrencyType WHERE IsActive = true", kind="currencies")
        codes = sorted(str(row.get("IsoCode"))[:3] for row in rows)
        return ReadinessLine("currencies", "ok", title, ", ".join(codes), facts=tuple(codes))
    if objects.currency:
        return ReadinessLine("currencies", "ok", title, objects.currency, facts=(objects.currency,))
    fix = _("Choose the org's currency on the account's page: Salesforce does not tell it.")
    return ReadinessLine("currencies", "warning", title, _("The org's own currency is not known."), fix)


def _features(objects: Objects) -> ReadinessLine:
    """What the org has of what some flows need."""
    account = objects.catalogue.get("Account").fields
    found = [
        (_("orders"), objects.catalogue.find("Order") is not None),
        (_("person accounts"), "IsPersonAccount" in account),
        (_("countries from a list"), "BillingCountryCode" in account),
    ]
    has = listed(name for name, there in found if there)
    return ReadinessLine("features", "ok", _("Features of the org"), has or _("none that matter here"))


def _sharing(client: Salesforce) -> ReadinessLine:
    """Private records are missing without any error unless our user may view all."""
    title = _("All records can be seen")
    fix = _("Give the integration's user “View All” on: %(objects)s")
    rights = object_rights.wanted(wanted_permission_sets(client.api.account))
    read_all = sorted(name for name, held in rights.items() if object_rights.VIEW_ALL in held)
    user = str(client.api.account.details.get("user_id") or "")
    if not ids.is_id(user, "005"):
        unknown = _("It is not known whom we work as.")
        return ReadinessLine("sharing", "warning", title, unknown, fix % {"objects": ", ".join(read_all)})
    own = soql.select(["PermissionSetId"], "PermissionSetAssignment", where=f"AssigneeId = {soql.quoted(user)}")
    of_ours = soql.within("SobjectType", [soql.quoted(name) for name in read_all])
    where = f"PermissionsViewAllRecords = true AND {of_ours} AND ParentId IN ({own})"
    query = soql.select(["SobjectType"], "ObjectPermissions", where=where)
    try:
        rows = client.query(query, kind="sharing")
    except (AuthenticationFailed, RateLimited):
        raise
    except SyncError:
        detail = _("The org does not let its user ask. Records of others may be missing without an error.")
        ask = _(
            "See in Setup that the integration's user has “View All” on: %(objects)s. With the right “View Setup and "
            "Configuration” the user can ask by itself."
        )
        return ReadinessLine("sharing", "warning", title, detail, ask % {"objects": ", ".join(read_all)})
    lacking = [name for name in read_all if name not in {row.get("SobjectType") for row in rows}]
    if not lacking:
        return ReadinessLine("sharing", "ok", title)
    detail = _("Where sharing is private, records of others are missing without an error.")
    return ReadinessLine("sharing", "warning", title, detail, fix % {"objects": ", ".join(lacking)})


def _usage(client: Salesforce) -> ReadinessLine:
    """How much of the daily allowance is used."""
    title = _("API calls of the last 24 hours")
    known = usage.known(client.api.account)
    if known is None:
        return ReadinessLine(
            "usage", "warning", title, _("Salesforce has not told yet."), _("It does with the next call.")
        )
    detail = _("%(used)s of %(max)s at %(time)s") % {
        "used": known.used,
        "max": known.max,
        "time": date_format(localtime(known.at), "H:i"),
    }
    if known.share >= usage.STOP_FROM:
        fix = _("Background work waits until calls are free again. See which other integrations use so many.")
        return ReadinessLine("usage", "error", title, detail, fix)
    if known.share >= usage.SLOW_FROM:
        return ReadinessLine("usage", "warning", title, detail, _("Background work is slowed."))
    return ReadinessLine("usage", "ok", title, detail)
