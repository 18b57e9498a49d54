"""`manage.py check_messages`: the Swedish translation says everything that the product says.

The sources are copied to a temporary folder and extracted there, so the tree is never touched. The compiled file is
compared by content, not by date: a fresh clone gives both files the same time.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from gettext import GNUTranslations
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import CommandError
from django.core.management.base import BaseCommand, CommandParser

LANGUAGE = "sv"
CATALOG = Path(LANGUAGE) / "LC_MESSAGES" / "django.po"
SKIPPED = frozenset({"node_modules", "var", "sandbox", "tests", "locale", "static", "staticfiles", "docs"})
EXTRACTED = (".py", ".html", ".txt")
OPTIONS = ("--no-location", "--no-wrap")
EXTRACT = (
    f"manage.py makemessages -l {LANGUAGE} {' '.join(OPTIONS)} --no-obsolete"
    " -i .venv -i .venv-twin -i node_modules -i var -i sandbox -i tests"
)
COMPILE = f"manage.py compilemessages -l {LANGUAGE} -i .venv -i .venv-twin"
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[sd]|\{\w*\}")
LINE = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d)\])?\s+(\".*\")$")


@dataclass
class Message:
    """One entry of a catalog."""

    context: str | None = None
    text: str = ""
    plural: str | None = None
    translations: list[str] = field(default_factory=list)
    fuzzy: bool = False
    obsolete: bool = False

    @property
    def key(self) -> tuple[str | None, str]:
        """What makes it the same message."""
        return self.context, self.text

    @property
    def sources(self) -> list[str]:
        """The text that each translation stands for."""
        return [self.text] if self.plural is None else [self.text, self.plural]


class Command(BaseCommand):
    """See the module's docstring."""

    help = "Fail when a message has no good Swedish translation, or the compiled file does not hold it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--locale-dir", type=Path, default=settings.BASE_DIR / "locale")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["locale_dir"] / CATALOG
        if not path.exists():
            raise CommandError(f"{path} is missing. Run: {EXTRACT}")
        wanted = {message.key: message for message in extracted(settings.BASE_DIR)}
        present = list(read(path))
        faults = [*_differences(wanted, present), *_stale(path.with_suffix(".mo"), present)]
        if faults:
            listed = "\n".join(f"  {kind}: {text}" for kind, text in faults)
            advice = f"Run: {EXTRACT}\nthen translate in {path}, and run: {COMPILE}"
            raise CommandError(f"{len(faults)} messages are not in order in {LANGUAGE}.\n{listed}\n{advice}")
        self.stdout.write(f"{len(wanted)} messages, all translated.")


def extracted(root: Path) -> list[Message]:
    """Every message of the sources below `root`."""
    missing = [program for program in ("xgettext", "msguniq") if shutil.which(program) is None]
    if missing:
        raise CommandError(f"{missing[0]} is missing. Install GNU gettext, then run this again.")
    with tempfile.TemporaryDirectory(prefix="messages-") as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy, ignore=_unwanted, copy_function=shutil.copyfile)
        (copy / "locale").mkdir()
        # Without settings, so that nothing but this folder is read or written.
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        done = subprocess.run(  # noqa: S603 - our own interpreter with fixed arguments
            [sys.executable, "-P", "-m", "django", "makemessages", "-l", LANGUAGE, *OPTIONS],
            cwd=copy, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CommandError(f"The messages could not be extracted: {done.stderr or done.stdout}")
        return list(read(copy / "locale" / CATALOG))


def _unwanted(folder: str, names: list[str]) -> set[str]:
    """What holds no messages, or is not the product."""
    return {
        name
        for name in names
        if name.startswith(".")
        or name in SKIPPED
        or not ((path := Path(folder, name)).is_dir() or (path.is_file() and path.suffix in EXTRACTED))
    }


def _differences(
    wanted: dict[tuple[str | None, str], Message], present: list[Message]
) -> Iterator[tuple[str, str]]:  # fmt: skip
    known = {message.key: message for message in present if not message.obsolete}
    for key, message in wanted.items():
        found = known.get(key)
        if found is None or found.plural != message.plural or not _complete(found):
            yield "missing", message.text
        elif found.fuzzy:
            yield "fuzzy", message.text
        else:
            yield from (
                ("placeholders", translation)
                for source, translation in zip(found.sources, found.translations, strict=True)
                if sorted(PLACEHOLDER.findall(source)) != sorted(PLACEHOLDER.findall(translation))
            )
    for message in present:
        if message.obsolete or message.key not in wanted:
            yield "obsolete", message.text


def _complete(message: Message) -> bool:
    return len(message.translations) == len(message.sources) and all(message.translations)


def _stale(compiled: Path, present: list[Message]) -> Iterator[tuple[str, str]]:
    """The translations that the compiled file does not hold."""
    if not compiled.exists():
        yield "not compiled", str(compiled)
        return
    with compiled.open("rb") as file:
        catalog = GNUTranslations(file)
    for message in present:
        if message.fuzzy or message.obsolete or not _complete(message):
            continue
        if list(_looked_up(catalog, message)) != message.translations:
            yield "not compiled", message.text


def _looked_up(catalog: GNUTranslations, message: Message) -> Iterator[str]:
    if message.plural is None:
        yield (
            catalog.gettext(message.text)
            if message.context is None
            else catalog.pgettext(message.context, message.text)
        )
        return
    for n in (1, 2):
        if message.context is None:
            yield catalog.ngettext(message.text, message.plural, n)
        else:
            yield catalog.npgettext(message.context, message.text, message.plural, n)


def read(path: Path) -> Iterator[Message]:
    """The entries of a .po file, without its header."""
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        message = _entry(block)
        if message.text:
            yield message


def _entry(block: str) -> Message:
    message, parts, name = Message(), dict[tuple[str, int], str](), ("", 0)
    for row in block.splitlines():
        line = row
        if line.startswith("#~"):
            message.obsolete = True
            line = line[2:].strip()
        if line.startswith("#,"):
            message.fuzzy = message.fuzzy or "fuzzy" in line
        if line.startswith(("#", "|")) or not line.strip():
            continue
        if start := LINE.match(line):
            name = (start[1], int(start[2] or 0))
            line = start[3]
        parts[name] = parts.get(name, "") + ast.literal_eval(line.strip())
    message.context = parts.get(("msgctxt", 0))
    message.text = parts.get(("msgid", 0), "")
    message.plural = parts.get(("msgid_plural", 0))
    message.translations = [text for (kind, _n), text in sorted(parts.items()) if kind == "msgstr"]
    return message
