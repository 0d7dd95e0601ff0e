import pytest

from lambdo_router.config.diagnostics import Diagnostic, Severity
from lambdo_router.config.lint.suppress import without_ignored


def at(line: int, code: str, severity: Severity = "warning", file: str = "a.yaml") -> Diagnostic:
    return Diagnostic(file, line, 1, code, "odd", severity)


def left(text: str, *diagnostics: Diagnostic) -> list[str]:
    """What is left, as `line:column code`."""
    kept = without_ignored(diagnostics, {"a.yaml": text.split("\n")})
    return [f"{one.line}:{one.column} {one.code}" for one in kept]


UNUSED = at(2, "unused-queue")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: 1\nb: 2 # lambdo: ignore=unused-queue", id="on-the-line"),
        pytest.param("# lambdo: ignore=unused-queue\nb: 2", id="on-the-line-before"),
        pytest.param("a: 1\nb: 2 #lambdo:ignore=unused-queue", id="without-spaces"),
        pytest.param("a: 1\nb: 2 # lambdo: ignore = unused-queue", id="with-spaces"),
        pytest.param("a: 1\nb: 2 # lambdo: ignore=unused-queue it is for later", id="a-reason"),
        pytest.param("a: 1\nb: 2 # old # lambdo: ignore=unused-queue", id="after-a-comment"),
    ],
)
def test_a_comment_takes_a_warning_away(text: str) -> None:
    assert left(text, UNUSED) == []


def test_a_comment_alone_is_for_the_next_line_that_holds_something() -> None:
    text = "# lambdo: ignore=unused-queue\n\n# why\n  # lambdo: ignore=short-visibility\nb: 2"

    assert left(text, at(5, "unused-queue"), at(5, "short-visibility")) == []


def test_a_comment_can_name_several_codes() -> None:
    text = "a: 1\nb: 2 # lambdo: ignore=unused-queue,short-visibility, no-effect"

    assert left(text, UNUSED, at(2, "short-visibility"), at(2, "no-effect")) == []


def test_one_comment_takes_all_warnings_of_its_code_on_its_line() -> None:
    second = Diagnostic("a.yaml", 2, 9, "unused-queue", "odd", "warning")

    assert left("a: 1\nb: 2 # lambdo: ignore=unused-queue", UNUSED, second) == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(at(1, "unused-queue"), id="another-line"),
        pytest.param(at(2, "no-effect"), id="another-code"),
        pytest.param(at(2, "unused-queue", file="b.yaml"), id="another-file"),
    ],
)
def test_only_what_is_meant_is_ignored(other: Diagnostic) -> None:
    text = "a: 1\nb: 2 # lambdo: ignore=unused-queue"

    assert left(text, UNUSED, other) == [f"{other.line}:1 {other.code}"]


@pytest.mark.parametrize(
    ("text", "diagnostics", "remark"),
    [
        pytest.param(
            "a: 1 # lambdo: ignore=unused-queue",
            [],
            "a.yaml:1:23: warning: there is no warning `unused-queue` in line 1 to ignore; "
            "remove this comment [unused-ignore]",
            id="nothing-there",
        ),
        pytest.param(
            "a: 1 # lambdo: ignore=unused-que",
            [],
            "a.yaml:1:23: warning: there is no code `unused-que`; did you mean `unused-queue`? "
            "[unknown-code]",
            id="no-such-code",
        ),
        pytest.param(
            "a: 1 # lambdo: ignore=bad-pattern",
            [],
            "a.yaml:1:23: warning: `bad-pattern` is an error, and errors cannot be ignored; "
            "remove this comment [cannot-ignore]",
            id="never-a-warning",
        ),
        pytest.param(
            "a: 1 # lambdo: ignore=bad-pattern",
            [at(1, "bad-pattern", "error")],
            "a.yaml:1:23: warning: `bad-pattern` is an error, and errors cannot be ignored; "
            "fix it, and remove this comment [cannot-ignore]",
            id="an-error",
        ),
        pytest.param(
            "a: 1 # lambdo: ignore=missing-variable",
            [at(1, "missing-variable", "error")],
            "a.yaml:1:23: warning: `missing-variable` is an error, and errors cannot be ignored; "
            "fix it, and remove this comment [cannot-ignore]",
            id="an-error-now",
        ),
        pytest.param(
            "a: 1 # x # lambdo: ignore unused-queue",
            [],
            "a.yaml:1:10: warning: this comment ignores nothing; write # lambdo: ignore=CODE, or "
            "CODE,CODE, with the codes in brackets after messages [malformed-ignore]",
            id="no-equals-sign",
        ),
        pytest.param(
            "a: 1 # lambdo: ignore=",
            [],
            "a.yaml:1:6: warning: this comment ignores nothing; write # lambdo: ignore=CODE, or "
            "CODE,CODE, with the codes in brackets after messages [malformed-ignore]",
            id="no-code",
        ),
        pytest.param(
            "a: 1 # lambdo: ignore=[unused-queue]",
            [],
            "a.yaml:1:6: warning: this comment ignores nothing; write # lambdo: ignore=CODE, or "
            "CODE,CODE, with the codes in brackets after messages [malformed-ignore]",
            id="brackets",
        ),
    ],
)
def test_what_is_wrong_with_a_comment_is_a_warning(
    text: str, diagnostics: list[Diagnostic], remark: str
) -> None:
    kept = without_ignored(diagnostics, {"a.yaml": [text]})

    assert [str(one) for one in kept if one not in diagnostics] == [remark]
    assert set(diagnostics) <= set(kept)


def test_the_code_is_underlined() -> None:
    (remark,) = without_ignored([], {"a.yaml": ["a: 1 # lambdo: ignore=x, unused-que"]})[1:]

    assert (remark.column, remark.end_column) == (26, 36)


@pytest.mark.parametrize(
    ("text", "others"),
    [
        pytest.param(
            "a: 1 # lambdo: ignore=no-effect", [at(9, "bad-pattern", "error")], id="error"
        ),
        pytest.param("a: 1 # lambdo: ignore=no-effect", [at(9, "missing-variable")], id="variable"),
        pytest.param('a: "${A}" # lambdo: ignore=no-effect', [], id="a-variable-in-the-line"),
    ],
)
def test_a_comment_is_only_unused_where_everything_is_known(
    text: str, others: list[Diagnostic]
) -> None:
    assert left(text, *others) == [f"{one.line}:1 {one.code}" for one in others]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: 'x # lambdo: ignore=no-effect'", id="in-quotes"),
        pytest.param("a: |\n  # lambdo: ignore=no-effect", id="in-a-block"),
        pytest.param("a: 1 # lambdo: a word about it", id="something-else"),
        pytest.param("a: 1 # lambdo: ignored", id="another-word"),
        pytest.param("a: [1 # lambdo: ignore=no-effect", id="no-yaml"),
    ],
)
def test_what_asks_for_nothing_is_passed_over(text: str) -> None:
    assert left(text) == []


def test_a_comment_alone_at_the_end_has_nothing_to_ignore() -> None:
    assert left("a: 1\n# lambdo: ignore=no-effect\n") == ["2:18 unused-ignore"]


def test_what_is_left_is_in_order() -> None:
    text = "a: 1 # lambdo: ignore=unused-que\nb: 2 # lambdo: ignore=no-effect"
    diagnostics = [at(3, "no-effect"), at(1, "no-effect")]

    assert left(text, *diagnostics) == [
        "1:1 no-effect",
        "1:23 unknown-code",
        "2:23 unused-ignore",
        "3:1 no-effect",
    ]
