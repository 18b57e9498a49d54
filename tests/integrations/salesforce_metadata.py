"""Reading the files of the Salesforce package in tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from integrations.salesforce.components import NAMESPACE, ExpectedField, expected_fields


def every_field() -> list[ExpectedField]:
    return [field for fields in expected_fields().values() for field in fields]


def parsed(content: bytes | str | Path) -> Element:
    root: Element = fromstring(content.read_bytes() if isinstance(content, Path) else content)
    return root


def texts(root: Element, tag: str) -> list[str]:
    return [element.text or "" for element in root.iter(f"{{{NAMESPACE}}}{tag}")]
