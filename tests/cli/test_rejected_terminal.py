"""What a replay says to somebody at a terminal: the question, and the bar."""

import asyncio
import os
import pty
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from lambdo_router.cli.rejected.session import ask, is_interactive, progress_bar


@dataclass(frozen=True, slots=True)
class Terminal:
    """The end of a terminal at which somebody sits."""

    end: int

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def shown(self) -> str:
        """What has come to the screen."""
        found = b""
        while select.select([self.end], [], [], 0)[0]:
            found += os.read(self.end, 65_536)
        return found.decode()


@contextmanager
def a_terminal() -> Iterator[Terminal]:
    """
    Standard input and error are a terminal in this block.

    It is no fixture: pytest would set its own streams between that and the test.
    """
    here, there = pty.openpty()
    with (
        open(there, closefd=False) as stdin,
        open(there, "w", closefd=False) as stderr,
        patch.object(sys, "stdin", stdin),
        patch.object(sys, "stderr", stderr),
    ):
        yield Terminal(here)
    os.close(there)
    os.close(here)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        pytest.param("y\n", True, id="y"),
        pytest.param(" YES \n", True, id="yes"),
        pytest.param("n\n", False, id="n"),
        pytest.param("\n", False, id="nothing"),
        pytest.param("yesterday\n", False, id="something-else"),
        pytest.param("\x04", False, id="the-end"),
    ],
)
async def test_only_a_yes_is_a_yes(typed: str, *, answer: bool) -> None:
    with a_terminal() as terminal:
        terminal.type(typed)

        assert await ask("Send them?", asyncio.Event()) is answer
        assert "Send them? [y/N] " in terminal.shown()


@pytest.mark.real_time
async def test_a_stop_is_a_no_and_the_loop_goes_on_until_then() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)

    with a_terminal() as terminal:
        assert await ask("Send them?", stop) is False
        assert terminal.shown() == "Send them? [y/N] \r\n"


def test_somebody_is_there_if_both_ends_are_a_terminal() -> None:
    with a_terminal():
        assert is_interactive()
        with Path(os.devnull).open() as nobody, patch.object(sys, "stdin", nobody):
            assert not is_interactive()


def test_a_bar_is_drawn_at_a_terminal_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")

    with a_terminal() as terminal:
        with progress_bar() as progress:
            progress(3, 7)
        shown = terminal.shown()

    assert "replayed" in shown
    assert "3/7" in shown
    assert shown.endswith("\x1b[2K")


def test_without_a_terminal_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        progress(3, 7)

    assert capsys.readouterr() == ("", "")
