"""The files of our package as archives: one for Salesforce's deploy call, one for an administrator to download.

Salesforce, Metadata API guide: a deployment is a zip with `package.xml` at its top and one file per component. The
committed files carry three marks where an installation's own values belong; nothing leaves here with a mark in it.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, SubElement, indent, tostring
from xml.sax.saxutils import escape

from defusedxml.ElementTree import fromstring

from integrations.salesforce.components import METADATA, NAMESPACE, PARTS, Part

SOURCE: Final = Path(__file__).parent / "package"
ENDPOINT_MARK: Final = "https://endpoint.ledgerbridge.invalid"
SITE_MARK: Final = "https://site.ledgerbridge.invalid"
USERNAME_MARK: Final = "integration.user@ledgerbridge.invalid"
_ANY_MARK: Final = "ledgerbridge.invalid"

# What tells us of changes. It can be left out: polling finds the same, only later.
_EVENT_FOLDERS: Final = frozenset({"workflows", "flows"})
_EVENT_TYPES: Final = frozenset({"Workflow", "WorkflowOutboundMessage", "Flow"})
_ACTIVE: Final = b"<status>Active</status>"
_DRAFT: Final = b"<status>Draft</status>"

# What an administrator needs of the source project; the converter and its check are ours.
_SOURCE_FILES: Final = ("README.md", "sfdx-project.json")
_SOURCE_FOLDERS: Final = ("force-app", "force-app-orders")

# The oldest time a zip can hold: the same files give the same bytes on every day.
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)


def build_zip(
    parts: Collection[Part],
    *,
    endpoint: str,
    site: str,
    username: str,
    events: bool = True,
    flows_active: bool = True,
) -> bytes:
    """The archive to deploy for the given parts, in Metadata API format and the same bytes for the same arguments.

    `endpoint` is the address that outbound messages go to, `site` the origin of this installation (for the card's
    frame), `username` the login of the integration's user, which must exist in the org. Without `events` it holds no
    outbound messages and flows; with `flows_active` off the flows arrive as drafts, for orgs that refuse active ones.
    Raises ValueError for no or unknown parts and for values that cannot be meant.
    """
    chosen = [part for part in PARTS if part in parts]
    if not chosen or len(chosen) != len(set(parts)):
        raise ValueError(f"parts must be some of {', '.join(PARTS)}: {sorted(parts)}")
    values = {
        ENDPOINT_MARK: _address(endpoint),
        SITE_MARK: _origin(site),
        USERNAME_MARK: _username(username),
    }
    files = _merged(chosen, events)
    for name, content in files.items():
        if name.startswith("flows/") and not flows_active:
            content = content.replace(_ACTIVE, _DRAFT)
        files[name] = _filled(name, content, values)
    return _archive(files)


def source_zip() -> bytes:
    """The source project as it is, marks included: its README says what to fill in. No secrets, no tools of ours."""
    paths = [SOURCE / name for name in _SOURCE_FILES]
    for folder in _SOURCE_FOLDERS:
        paths.extend(path for path in (SOURCE / folder).rglob("*") if path.is_file())
    return _archive({f"ledgerbridge-salesforce/{_name(path, SOURCE)}": path.read_bytes() for path in paths})


def _merged(parts: Collection[Part], events: bool) -> dict[str, bytes]:
    """The files of all parts by their name in the archive; what two parts both bring becomes one file."""
    files: dict[str, bytes] = {}
    for part in parts:
        folder = METADATA / part
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = _name(path, folder)
            if events or name.partition("/")[0] not in _EVENT_FOLDERS:
                content = path.read_bytes()
                files[name] = _united(name, files[name], content) if name in files else content
    files["package.xml"] = _manifest(files["package.xml"], events)
    return files


def _united(name: str, first: bytes, second: bytes) -> bytes:
    """Two files of one name as one: a manifest's types, or the fields that another part adds to an object."""
    root, addition = _parsed(first), _parsed(second)
    if name != "package.xml" and (name.partition("/")[0] != "objects" or _tags(addition) != {"fields"}):
        raise ValueError(f"two parts bring {name}, and they cannot be put together")
    for element in addition:
        # Salesforce refuses a file in which elements of one kind do not stand together.
        places = [place for place, other in enumerate(root, 1) if other.tag == element.tag]
        root.insert(places[-1] if places else len(root), element)
    return _written(root)


def _manifest(content: bytes, events: bool) -> bytes:
    """`package.xml` with every type once, members sorted."""
    root = _parsed(content)
    members: dict[str, set[str]] = {}
    for entry in root.iterfind(f"{{{NAMESPACE}}}types"):
        name = entry.findtext(f"{{{NAMESPACE}}}name") or ""
        members.setdefault(name, set()).update(e.text or "" for e in entry.iterfind(f"{{{NAMESPACE}}}members"))
    package = Element(f"{{{NAMESPACE}}}Package")
    for name in sorted(members):
        if events or name not in _EVENT_TYPES:
            entry = SubElement(package, f"{{{NAMESPACE}}}types")
            for member in sorted(members[name]):
                SubElement(entry, f"{{{NAMESPACE}}}members").text = member
            SubElement(entry, f"{{{NAMESPACE}}}name").text = name
    SubElement(package, f"{{{NAMESPACE}}}version").text = root.findtext(f"{{{NAMESPACE}}}version")
    return _written(package)


def _filled(name: str, content: bytes, values: Mapping[str, str]) -> bytes:
    for mark, value in values.items():
        content = content.replace(mark.encode(), escape(value).encode())
    if _ANY_MARK.encode() in content:
        raise ValueError(f"{name} still holds a mark where a value belongs")
    return content


def _plain(value: str) -> bool:
    """Whether a value can stand in the files at all: XML holds no control characters, and a mark would stay one."""
    return value.isprintable() and " " not in value and _ANY_MARK not in value


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname or not _plain(url):
        raise ValueError("not an address that a message can be sent to")
    return url


def _origin(url: str) -> str:
    parts = urlsplit(_address(url))
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        raise ValueError("an origin has a scheme and a host, and nothing after them")
    return f"{parts.scheme}://{parts.netloc}"


def _username(name: str) -> str:
    """Salesforce: a user name has the form of an email address and at most 80 characters."""
    if "@" not in name or len(name) > 80 or not _plain(name):
        raise ValueError("not the user name of a Salesforce user")
    return name


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _parsed(content: bytes) -> Element:
    root: Element = fromstring(content, forbid_dtd=True)
    return root


def _tags(root: Element) -> set[str]:
    return {element.tag.rpartition("}")[2] for element in root}


def _written(root: Element) -> bytes:
    indent(root, "    ")
    written: bytes = tostring(root, encoding="UTF-8", xml_declaration=True, default_namespace=NAMESPACE)
    return written
