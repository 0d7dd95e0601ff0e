from dataclasses import replace
from pathlib import Path

import pytest

from lambdo_router.config.diagnostics import (
    ConfigError,
    Diagnostic,
    Related,
    closest,
    escape,
    render,
)


def at(line: int, column: int, end: int | None = None, message: str = "wrong") -> Diagnostic:
    return Diagnostic("routes.yaml", line, column, "some-code", message, end_column=end)


def test_a_diagnostic_prints_as_place_message_and_code() -> None:
    assert str(at(3, 5)) == "routes.yaml:3:5: wrong [some-code]"


def test_a_hint_follows_the_message() -> None:
    problem = Diagnostic("routes.yaml", 3, 5, "some-code", "wrong", hint="do right")
    assert str(problem) == "routes.yaml:3:5: wrong; do right [some-code]"


def test_a_warning_says_that_it_is_one() -> None:
    problem = Diagnostic("routes.yaml", 3, 5, "some-code", "odd", severity="warning")
    assert str(problem) == "routes.yaml:3:5: warning: odd [some-code]"


def test_a_diagnostic_is_one_line_whatever_it_quotes() -> None:
    problem = Diagnostic("a\nb", 1, 1, "c", "\x1b[31mred\r\u202e\ud800\u00a0")
    assert str(problem) == r"a\nb:1:1: \x1b[31mred\r\u202e\ud800\xa0 [c]"


def test_diagnostics_sort_by_file_then_line_then_column() -> None:
    problems = [
        Diagnostic("b", 1, 1, "x", ""),
        Diagnostic("a", 10, 1, "x", ""),
        Diagnostic("a", 9, 2, "x", "", end_column=4),
        Diagnostic("a", 9, 2, "x", ""),
        Diagnostic("a", 9, 1, "z", ""),
    ]
    places = [(p.file, p.line, p.column) for p in sorted(problems)]
    assert places == [("a", 9, 1), ("a", 9, 2), ("a", 9, 2), ("a", 10, 1), ("b", 1, 1)]


def test_a_config_error_holds_its_diagnostics_in_order_and_prints_them_all() -> None:
    error = ConfigError([at(2, 1), at(1, 1)], inputs=[Path("routes.yaml")])
    assert error.diagnostics == (at(1, 1), at(2, 1))
    assert error.inputs == (Path("routes.yaml"),)
    assert str(error) == f"{at(1, 1)}\n{at(2, 1)}"


@pytest.mark.parametrize(
    ("source", "column", "end", "expected"),
    [
        pytest.param("size: big", 7, 10, ["size: big", "      ^~~"], id="a-word"),
        pytest.param("size: big", 7, None, ["size: big", "      ^"], id="no-end-known"),
        pytest.param("size:", 6, 6, ["size:", "     ^"], id="after-the-end-of-the-line"),
        pytest.param("size:", 60, 70, ["size:", "     ^"], id="beyond-the-line"),
        pytest.param("a: 日本 x", 4, 6, ["a: 日本 x", "   ^~~~"], id="wide"),
        pytest.param("日本: x", 5, 6, ["日本: x", "      ^"], id="after-wide"),
        pytest.param("a🙂: x", 5, 6, ["a🙂: x", "     ^"], id="after-emoji"),
        pytest.param("e\u0301: x", 5, 6, ["e\u0301: x", "   ^"], id="after-combining"),
        pytest.param("\ta: x", 5, 6, ["    a: x", "       ^"], id="after-tab"),
        pytest.param("a\x1b: x", 5, 6, [r"a\x1b: x", "       ^"], id="after-control"),
        pytest.param("a: \x1b", 4, 5, [r"a: \x1b", "   ^~~~"], id="on-control"),
        pytest.param("", 1, None, ["", "^"], id="empty-line"),
    ],
)
def test_the_caret_stands_under_the_place(
    source: str, column: int, end: int | None, expected: list[str]
) -> None:
    problem = at(2, column, end)
    line, carets = expected
    assert render(problem, ["", source]) == f"{problem}\n2 | {line}\n  | {carets}"


def test_the_caret_line_is_indented_like_its_line_number() -> None:
    problem = at(100, 1)
    assert render(problem, [""] * 99 + ["x"]) == f"{problem}\n100 | x\n    | ^"


@pytest.mark.parametrize("line", [0, 3])
def test_a_line_that_the_file_has_not_is_not_shown(line: int) -> None:
    assert render(at(line, 1), ["a", "b"]) == str(at(line, 1))


@pytest.mark.parametrize(
    ("column", "end", "line", "carets"),
    [
        pytest.param(1, 3, "ab" + "-" * 118 + "...", "^~", id="at-the-start"),
        pytest.param(501, 502, "..." + "-" * 40 + "x" + "-" * 39 + "...", " " * 43 + "^", id="mid"),
        pytest.param(
            501,
            900,
            "..." + "-" * 40 + "x" + "-" * 39 + "...",
            " " * 43 + "^" + "~" * 39,
            id="wide",
        ),
        pytest.param(1001, 1002, "..." + "-" * 39 + "z", " " * 43 + "^", id="at-the-end"),
    ],
)
def test_of_a_long_line_the_part_around_the_caret_is_shown(
    column: int, end: int, line: str, carets: str
) -> None:
    source = "ab" + "-" * 498 + "x" + "-" * 498 + "z"
    problem = at(1, column, end)
    assert render(problem, [source]) == f"{problem}\n1 | {line}\n  | {carets}"


def test_over_several_lines_the_first_is_marked_to_its_end() -> None:
    problem = Diagnostic("routes.yaml", 1, 4, "c", "wrong", end_line=2, end_column=2)

    assert render(problem, ["a: 'x", "y'"]) == f"{problem}\n1 | a: 'x\n  |    ^~"


def test_the_end_of_the_same_line_may_be_said() -> None:
    problem = Diagnostic("routes.yaml", 1, 4, "c", "wrong", end_line=1, end_column=6)

    assert render(problem, ["a: 'x'"]) == f"{problem}\n1 | a: 'x'\n  |    ^~"


def test_related_places_follow_with_their_lines() -> None:
    problem = Diagnostic(
        *("b.yaml", 2, 1, "c", "wrong"),
        related=(
            Related("b.yaml", 1, 3, "here in the same file"),
            Related("a.yaml", 10, 1, "here in another\n"),
            Related("c.yaml", 1, 1, "in a file that nobody holds"),
        ),
    )

    assert render(problem, ["x: 日", "y"], {"a.yaml": [""] * 9 + ["z"]}) == (
        "b.yaml:2:1: wrong [c]\n"
        "2 | y\n"
        "  | ^\n"
        "b.yaml:1:3: note: here in the same file\n"
        "1 | x: 日\n"
        "  |   ^\n"
        "a.yaml:10:1: note: here in another\\n\n"
        "10 | z\n"
        "   | ^\n"
        "c.yaml:1:1: note: in a file that nobody holds"
    )


def test_diagnostics_that_differ_are_never_in_any_order() -> None:
    plain = at(1, 1)
    others = [replace(plain, hint="x"), replace(plain, severity="warning")]

    assert sorted([others[1], others[0], plain]) == [plain, others[1], others[0]]


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        pytest.param("hevy", ["light", "heavy"], "did you mean `heavy`? allowed are: heavy, light"),
        pytest.param("xyz", ["light", "heavy"], "allowed are: heavy, light"),
        pytest.param("xyz", [], "none is defined"),
    ],
)
def test_an_unknown_word_is_answered_with_a_likely_one_and_with_all(
    word: str, known: list[str], expected: str
) -> None:
    assert closest(word, known) == expected


def test_what_can_be_printed_is_not_escaped() -> None:
    assert escape("naïve 日本 🙂 \\n") == "naïve 日本 🙂 \\n"
