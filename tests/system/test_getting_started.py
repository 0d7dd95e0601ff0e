"""docs/getting-started.md: whoever follows it sees what it shows."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from pages import ROOT, Block, read_page

from lambdo_router.cli import cli

_GIT = {
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def test_whoever_follows_the_page_sees_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in read_page(ROOT / "docs" / "getting-started.md").blocks:
        if block.language == "console":
            assert _played(block.text, monkeypatch) == _steady(block.text)
        elif block.text.startswith(("routes:", "tests:")):
            _add(block)


def _played(session: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The session with what its commands really print."""
    shown = []
    for line in re.findall(r"^\$ (.*)$", session, re.MULTILINE):
        shown.append(f"$ {line}\n")
        for program, *words in map(shlex.split, line.split(" && ")):
            if program == "cd":
                monkeypatch.chdir(words[0])
            elif program == "lambdo-router":
                shown.append(CliRunner().invoke(cli, words, catch_exceptions=False).output)
            else:
                subprocess.run([program, *words], check=True, env={**os.environ, **_GIT})
    return _steady("".join(shown))


def _steady(text: str) -> str:
    """The text without what is another in each run."""
    return re.sub(r'"time": [0-9.]+', '"time": ...', text)


def _add(block: Block) -> None:
    """Do to the file what the page asks for: what comes below the first two lines is added."""
    section, _, added = block.text.split("\n", 2)
    file = Path("routes.yaml" if section == "routes:" else "routes.test.yaml")
    text = file.read_text()
    if section == "tests:":
        text = text.replace("kind: farewell", "kind: invoice")
    file.write_text(f"{text}\n{added}")
