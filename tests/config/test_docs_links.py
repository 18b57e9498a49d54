"""README.md and docs/: every relative link leads to something that is there, and no picture lies about unused."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def links(page: Path) -> list[str]:
    """Where the page's links and pictures point to, but for other sites."""
    found = _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8")))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The places of a page that can be linked to, as code hosts name them: from its headings."""
    text = _CODE.sub(lambda code: "" if code[0].startswith("```") else code[0].strip("`"), page.read_text("utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = unicodedata.normalize("NFC", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)).strip().lower()
        plain = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = sum(1 for one in found if re.fullmatch(rf"{re.escape(plain)}(-\d+)?", one))
        found.add(f"{plain}-{number}" if number else plain)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        path, _hash, place = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        if not other.exists() or (place and other.suffix == ".md" and place not in anchors(other)):
            broken.append(target)
    assert not broken


def test_every_picture_is_shown_somewhere() -> None:
    shown = {(page.parent / target).resolve() for page in PAGES for target in links(page)}
    assert not [picture.name for picture in sorted(PICTURES.iterdir()) if picture not in shown]


def test_every_task_is_in_the_list_of_tasks() -> None:
    folder = ROOT / "docs" / "tasks"
    assert {path.name for path in folder.glob("*.md")} - {"README.md"} == {
        target for target in links(folder / "README.md") if "/" not in target
    }
