import io
import sys
from pathlib import Path

import click
import pytest

from lambdo_router.cli.output.printing import (
    print_diagnostics,
    print_error,
    print_raw,
    print_result,
)
from lambdo_router.config.diagnostics import Diagnostic, Related, counted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("no_color", "coloured"),
    [
        pytest.param(None, True, id="a-terminal"),
        pytest.param("1", False, id="NO_COLOR"),
        pytest.param("", True, id="NO_COLOR-is-empty"),
    ],
)
def test_colours_are_for_terminals(
    no_color: str | None, *, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    if no_color is None:
        monkeypatch.delenv("NO_COLOR", raising=False)
    else:
        monkeypatch.setenv("NO_COLOR", no_color)
    print_diagnostics(
        [Diagnostic("a.yaml", 1, 6, "bad", "no", end_column=8)], {"a.yaml": ["key: 60"]}
    )
    plain = "a.yaml:1:6: no [bad]\n1 | key: 60\n  |      ^~\n"

    assert (terminal.getvalue() != plain) is coloured
    assert click.unstyle(terminal.getvalue()) == plain


def test_related_places_are_coloured_and_read_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("b.yaml").write_text("name: a\n", "utf-8")
    related = (Related("b.yaml", 1, 7, "is there: first"),)
    print_diagnostics(
        [Diagnostic("a.yaml", 1, 1, "bad", "no", "warning", related=related)], {"a.yaml": ["a"]}
    )
    bold, end = "\x1b[1m", "\x1b[0m"

    assert terminal.getvalue() == (
        f"{bold}a.yaml:1:1: {end}warning: no [bad]\n1 | a\n  | \x1b[33m{bold}^{end}\n"
        f"{bold}b.yaml:1:7: {end}note: is there: first\n1 | name: a\n"
        f"  | \x1b[36m{bold}      ^{end}\n"
    )


def test_the_line_of_a_file_that_nobody_holds_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("one\ntwo\n", "utf-8")
    print_diagnostics([Diagnostic(str(file), 2, 1, "bad", "no", end_column=4)])

    assert capsys.readouterr().err == f"{file}:2:1: no [bad]\n2 | two\n  | ^~~\n"


def test_a_file_that_cannot_be_read_has_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "latin").write_bytes(b"\xff")
    files = [str(tmp_path / "latin"), str(tmp_path / "nowhere"), str(tmp_path)]
    print_diagnostics([Diagnostic(file, 1, 1, "bad", "no") for file in files])

    assert capsys.readouterr().err == "".join(f"{file}:1:1: no [bad]\n" for file in files)


def test_an_error_without_a_place_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_error("the queue is gone")

    assert capsys.readouterr() == ("", "error: the queue is gone\n")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 routes"), (1, "1 route"), (2, "2 routes")],
    ids=["none", "one", "two"],
)
def test_things_are_counted(count: int, text: str) -> None:
    assert counted(count, "route") == text


_HOSTILE = "a\tb\n\x1b]0;owned\x07\x1b[2J\x9b31m\r\x7f\u202e\udc80 ü\n"
_VISIBLE = "a\tb\n\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\r\\x7f\\u202e\\udc80 ü\n"


def test_what_a_sender_wrote_does_nothing_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_raw(_HOSTILE)
    assert terminal.getvalue() == _VISIBLE


def test_what_a_sender_wrote_goes_letter_by_letter_into_a_pipe(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    print_raw(_HOSTILE)
    assert capsysbinary.readouterr().out == _HOSTILE.encode("utf-8", "surrogatepass")


def test_results_and_errors_do_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(_HOSTILE)
    print_error(_HOSTILE)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (f"{_VISIBLE}\n", f"error: {_VISIBLE}\n")
