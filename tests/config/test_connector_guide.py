"""docs/adding-a-connector.md: its excerpts are the files' own text, and nothing of the protocol is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from integrations.connector import Connector

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "adding-a-connector.md").read_text(encoding="utf-8")
EXCERPTS = re.findall(r"^`(tests/[\w/.-]+)`\n\n```\w+\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
MEMBERS = sorted({name for name in (*Connector.__annotations__, *vars(Connector)) if not name.startswith("_")})


def test_every_block_of_code_names_its_file() -> None:
    assert len(EXCERPTS) == GUIDE.count("\n```\n") >= 10


@pytest.mark.parametrize("path,text", EXCERPTS)
def test_an_excerpt_is_the_file_s_own_text(path: str, text: str) -> None:
    assert text in (ROOT / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_of_the_protocol_is_explained(name: str) -> None:
    assert re.search(rf"`{name}\b", GUIDE)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:tests|integrations|mappings|config)/[\w/]+\.\w+)`", GUIDE)))
)
def test_every_file_that_it_names_is_there(path: str) -> None:
    assert (ROOT / path).is_file()
