"""The check of the Swedish translation passes, and notices every way in which a translation can rot."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from config.management.commands.check_messages import CATALOG, read

pytestmark = pytest.mark.skipif(shutil.which("xgettext") is None, reason="needs GNU gettext")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the translations that may be spoiled."""
    return Path(shutil.copytree(settings.BASE_DIR / "locale", tmp_path / "locale"))


def spoil(locale: Path, change: Callable[[str], str], *, compiled: bool = True) -> str:
    """Change the text of the catalog and return what the check says."""
    path = locale / CATALOG
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    if compiled:
        subprocess.run(["msgfmt", "-o", str(path.with_suffix(".mo")), str(path)], check=True)
    with pytest.raises(CommandError) as caught:
        call_command("check_messages", locale_dir=locale)
    return str(caught.value)


def test_every_message_is_translated(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("check_messages")
    assert "all translated" in capsys.readouterr().out


def test_the_check_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, copied: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*")}
    call_command("check_messages", locale_dir=copied)
    assert list(temporary.iterdir()) == []
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*")} == before


def test_a_removed_translation_is_missing(copied: Path) -> None:
    said = spoil(copied, lambda text: text.replace('msgstr "Godkänn"\n', 'msgstr ""\n'))
    assert "missing: Approve" in said
    assert "manage.py makemessages -l sv" in said
    assert "manage.py compilemessages -l sv" in said


def test_a_removed_message_is_missing(copied: Path) -> None:
    said = spoil(copied, lambda text: text.replace('msgid "Approve"\nmsgstr "Godkänn"\n\n', ""))
    assert "missing: Approve" in said


def test_half_a_plural_is_missing(copied: Path) -> None:
    said = spoil(copied, lambda text: text.replace('msgstr[1] "%(n)s rader"', 'msgstr[1] ""'))
    assert "missing: %(n)s row" in said


def test_a_guess_is_fuzzy(copied: Path) -> None:
    said = spoil(copied, lambda text: text.replace('msgid "Approve"\n', '#, fuzzy\nmsgid "Approve"\n'))
    assert "fuzzy: Approve" in said


@pytest.mark.parametrize("mark", ["", "#~ "])
def test_what_the_product_no_longer_says_is_obsolete(copied: Path, mark: str) -> None:
    said = spoil(copied, lambda text: f'{text}\n{mark}msgid "Long gone"\n{mark}msgstr "Borta"\n')
    assert "obsolete: Long gone" in said


def test_another_placeholder_is_noticed(copied: Path) -> None:
    said = spoil(copied, lambda text: text.replace('msgstr "Läge: %(mode)s"', 'msgstr "Läge: %(lage)s"'))
    assert "placeholders: Läge: %(lage)s" in said


def test_an_old_compiled_file_is_noticed(copied: Path) -> None:
    said = spoil(copied, lambda text: text.replace('msgstr "Godkänn"\n', 'msgstr "Bifall"\n'), compiled=False)
    assert "not compiled: Approve" in said
    (copied / CATALOG).with_suffix(".mo").unlink()
    with pytest.raises(CommandError, match="not compiled"):
        call_command("check_messages", locale_dir=copied)


def test_texts_are_polite_and_quoted_the_swedish_way() -> None:
    for message in read(settings.BASE_DIR / "locale" / CATALOG):
        for translation in message.translations:
            assert "!" not in translation or "!" in message.text, translation
            assert "“" not in translation, translation
