"""Reading a deployment: the multipart request, the zip, ``package.xml`` and the components in the files.

Metadata API guide: one folder per type of component; an object's file holds its fields and more components; only what
``package.xml`` names is deployed."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from .call import Call
from .errors import SfError

BIGGEST = 39 * 1024 * 1024  # Metadata API limit of a zip
MOST_FILES = 10_000

# folder: (type, suffix)
FOLDERS = {
    "objects": ("CustomObject", ".object"),
    "permissionsets": ("PermissionSet", ".permissionset"),
    "layouts": ("Layout", ".layout"),
    "quickActions": ("QuickAction", ".quickAction"),
    "workflows": ("Workflow", ".workflow"),
    "flows": ("Flow", ".flow"),
    "cspTrustedSites": ("CspTrustedSite", ".cspTrustedSite"),
    "pages": ("ApexPage", ".page"),
    "tabs": ("CustomTab", ".tab"),
    "customPermissions": ("CustomPermission", ".customPermission"),
    "externalClientApps": ("ExternalClientApplication", ".eca"),
    "extlClntAppGlobalOauthSets": ("ExtlClntAppGlobalOauthSettings", ".ecaGlblOauth"),
    "extlClntAppOauthSecuritySettings": ("ExtlClntAppOauthSecuritySettings", ".ecaOauthSecurity"),
    "extlClntAppOauthSettings": ("ExtlClntAppOauthSettings", ".ecaOauth"),
    "extlClntAppPolicies": ("ExtlClntAppConfigurablePolicies", ".ecaPlcy"),
    "extlClntAppOauthPolicies": ("ExtlClntAppOauthConfigurablePolicies", ".ecaOauthPlcy"),
    "extlClntAppCanvasSettings": ("ExtlClntAppCanvasSettings", ".ecaCanvas"),
}
# element inside an object's or workflow's file: type of the component
INSIDE = {
    "fields": "CustomField",
    "listViews": "ListView",
    "compactLayouts": "CompactLayout",
    "outboundMessages": "WorkflowOutboundMessage",
}
TYPES = frozenset({entry[0] for entry in FOLDERS.values()} | set(INSIDE.values()))


@dataclass(frozen=True, slots=True)
class Component:
    """One thing to deploy; ``body`` is its XML as nested dictionaries."""

    type: str
    name: str
    file: str
    body: Mapping[str, Any]
    line: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a component cannot be deployed; ``warning`` lets it pass."""

    type: str
    name: str
    file: str
    text: str
    line: int = 1
    warning: bool = False


@dataclass(slots=True)
class Package:
    """What a zip holds and what was wrong with it before any component was looked at."""

    components: list[Component] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_request(call: Call) -> tuple[dict[str, Any], bytes]:
    """(deploy options, zip) of a multipart body; the parts are known by their content, not by their names."""
    mimetype, options = parse_options_header(call.headers.get("Content-Type", ""))
    if mimetype != "multipart/form-data":
        raise SfError(415, "UNSUPPORTED_MEDIA_TYPE", "The content type must be multipart/form-data")
    stream = io.BytesIO(call.raw)
    _, form, files = FormDataParser(silent=False).parse(stream, mimetype, len(call.raw), options)
    texts = [*form.values()]
    archive = b""
    for name, part in files.items(multi=True):
        content = part.read()
        if content[:2] == b"PK" or name == "file":
            archive = content
        else:
            texts.append(content.decode("utf-8", "replace"))
    try:
        wanted = json.loads(texts[0])["deployOptions"]
    except (IndexError, KeyError, TypeError, ValueError):
        raise SfError(400, "JSON_PARSER_ERROR", "deployOptions are missing from the request") from None
    if not archive or not isinstance(wanted, dict):
        raise SfError(400, "REQUIRED_FIELD_MISSING", "The zip file to deploy is missing", ["file"])
    return wanted, archive


def read_package(archive: bytes) -> Package:
    """The components of a zip that its ``package.xml`` names; problems never raise."""
    package = Package()
    try:
        files = dict(_files(archive))
    except (zipfile.BadZipFile, ValueError, OSError):
        package.problems.append(Problem("", "package.xml", "package.xml", "Invalid zip file"))
        return package
    if "package.xml" not in files:
        text = "No package.xml found"
        package.problems.append(Problem("", "package.xml", "package.xml", text))
        return package
    found = {(entry.type, entry.name): entry for entry in _components(files, package.problems)}
    named = list(_named(files["package.xml"], package.problems))
    owners = {name for kind, name in named if kind in ("CustomObject", "Workflow")}
    for kind, name in named:
        if name != "*" and (kind, name) not in found and kind != "Workflow":
            text = f"An object '{name}' of type {kind} was named in package.xml, but was not found in zipped directory"
            package.problems.append(Problem(kind, name, "package.xml", text))
    for (kind, name), entry in found.items():
        wildcard = (kind, "*") in named
        if (kind, name) in named or wildcard or (kind in INSIDE.values() and name.partition(".")[0] in owners):
            package.components.append(entry)
    return package


def _files(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """The files below the folder in which ``package.xml`` is."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        entries = [entry for entry in opened.infolist() if not entry.is_dir()]
        if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > BIGGEST * 10:
            raise ValueError("too large")
        tops = [name.removesuffix("package.xml") for name in opened.namelist() if name.endswith("package.xml")]
        top = min(tops, key=len, default="")
        for entry in entries:
            if entry.filename.startswith(top):
                yield entry.filename[len(top) :], opened.read(entry)


def _named(content: bytes, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    try:
        root = plain(_parsed(content))
    except (ParseError, DefusedXmlException) as error:
        problems.append(Problem("", "package.xml", "package.xml", f"Error parsing file: {error}"))
        return
    for entry in listed(root.get("types")):
        kind = str(entry.get("name"))
        if kind not in TYPES:
            text = f"Unknown type name '{kind}' specified in package.xml"
            problems.append(Problem("", "package.xml", "package.xml", text))
            continue
        for member in listed(entry.get("members")):
            yield kind, str(member)


def _components(files: Mapping[str, bytes], problems: list[Problem]) -> Iterator[Component]:
    for path, content in files.items():
        folder, _, name = path.partition("/")
        if folder not in FOLDERS:
            if path != "package.xml":
                problems.append(Problem("", path, path, f"Unknown folder {folder} in the zip file", warning=True))
            continue
        kind, suffix = FOLDERS[folder]
        if name.endswith("-meta.xml"):
            continue
        if not name.endswith(suffix):
            problems.append(Problem(kind, name, path, f"Unexpected file {name} in folder {folder}", warning=True))
            continue
        described = files.get(f"{path}-meta.xml", b"") if kind == "ApexPage" else content
        try:
            body = plain(_parsed(described))
        except (ParseError, DefusedXmlException) as error:
            text = f"Error parsing file: {error}" if described else f"{path}-meta.xml was not found in zipped directory"
            problems.append(Problem(kind, name.removesuffix(suffix), path, text))
            continue
        if kind == "ApexPage":
            body["markup"] = content.decode("utf-8", "replace")
        yield from _split(kind, name.removesuffix(suffix), path, body, content.decode("utf-8", "replace"))


def _split(kind: str, name: str, path: str, body: dict[str, Any], text: str) -> Iterator[Component]:
    """A file's component, and those inside it."""
    inside = {tag: listed(body.pop(tag, None)) for tag in INSIDE if kind in ("CustomObject", "Workflow")}
    yield Component(kind, name, path, body)
    for tag, entries in inside.items():
        for entry in entries:
            own = str(entry.get("fullName", ""))
            line = text[: max(0, text.find(f"<fullName>{own}</fullName>"))].count("\n") + 1
            yield Component(INSIDE[tag], f"{name}.{own}", path, entry, line)


def _parsed(content: bytes) -> Element:
    root: Element = fromstring(content, forbid_dtd=True)
    return root


def plain(element: Element) -> dict[str, Any]:
    """Children by name without their namespace: text, a dictionary, or a list of either when there are several."""
    found: dict[str, Any] = {}
    for child in element:
        name = child.tag.rpartition("}")[2]
        value: Any = plain(child) if len(child) else (child.text or "").strip()
        if name in found:
            found[name] = [*listed(found[name]), value]
        else:
            found[name] = value
    return found


def listed(value: Any) -> list[Any]:
    """One, many or nothing, as a list; text where a dictionary was due stays out of the way of ``get``."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
