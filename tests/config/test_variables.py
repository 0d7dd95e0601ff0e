from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.config.read.document import Document
from lambdo_router.config.read.variables import substitute
from lambdo_router.config.read.yaml_loader import read_document

ENV = {"NAME": "blue", "EMPTY": "", "TRICKY": "${NAME} $${ {a: b}\n- c", "NUMBER": "10"}


def filled(text: str, env: Mapping[str, str] = ENV) -> object:
    """What `text`, as the value of the key `a`, becomes."""
    document, problems = substitute(of({"a": text}), env, missing="error")
    assert problems == []
    assert document.unresolved == frozenset()
    assert isinstance(document.value, dict)
    return document.value["a"]


def of(value: object) -> Document:
    return Document("routes.yaml", value, value, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("no variable", "no variable", id="none"),
        pytest.param("${NAME}", "blue", id="alone"),
        pytest.param("<${NAME}-${NAME}>", "<blue-blue>", id="twice-in-a-text"),
        pytest.param("${EMPTY}", "", id="set-but-empty"),
        pytest.param("${GONE:-red}", "red", id="default-for-unset"),
        pytest.param("${EMPTY:-red}", "red", id="default-for-empty"),
        pytest.param("${NAME:-red}", "blue", id="set-wins-over-default"),
        pytest.param("${GONE:-}", "", id="empty-default"),
        pytest.param("${GONE:-a:-b\n{ $c}", "a:-b\n{ $c", id="default-holds-anything-but-a-brace"),
        pytest.param("$${NAME}", "${NAME}", id="escaped"),
        pytest.param("$$${NAME}", "$${NAME}", id="escaped-after-a-dollar"),
        pytest.param("$${NAME}${NAME}", "${NAME}blue", id="escaped-beside-a-variable"),
        pytest.param("$NAME $$NAME $ {NAME}", "$NAME $$NAME $ {NAME}", id="dollars-are-text"),
        pytest.param("${TRICKY}", ENV["TRICKY"], id="a-value-is-not-read-again"),
        pytest.param("${NUMBER}", "10", id="a-value-stays-text"),
    ],
)
def test_what_a_text_becomes(text: str, expected: str) -> None:
    assert filled(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("x${NAME", "`${NAME` has no `}`", id="not-closed"),
        pytest.param("${}", "`${}` names no variable", id="no-name"),
        pytest.param("${ NAME}", "`${ NAME}` names no variable", id="space"),
        pytest.param("${1ST}", "`${1ST}` names no variable", id="digit-first"),
        pytest.param("${NÄME}", "`${NÄME}` names no variable", id="not-ascii"),
        pytest.param("${NAME-x}", "`${NAME-x}` names no variable", id="dash-without-colon"),
        pytest.param("${NAME:?x}", "`${NAME:?x}` names no variable", id="another-operator"),
        pytest.param(
            "${GONE:-${NAME}}", "`${GONE:-${NAME}` has a variable in its default", id="nested"
        ),
    ],
)
@pytest.mark.parametrize("missing", ["error", "warning"])
def test_a_malformed_variable_is_an_error_at_its_text(
    text: str, message: str, missing: str
) -> None:
    document = read_document(f"a:\n- b: '{text}'\n", "routes.yaml")
    after, [problem] = substitute(
        document, ENV, missing="error" if missing == "error" else "warning"
    )
    hint = "write ${NAME} or ${NAME:-default}, and $${ for a plain ${"
    assert str(problem) == f"routes.yaml:2:6: {message}; {hint} [malformed-variable]"
    assert problem.severity == "error"
    assert after.value == document.value
    assert after.unresolved == {("a", 0, "b")}


def test_a_missing_variable_is_a_problem_of_the_severity_asked_for() -> None:
    document = read_document("a: x\nb: ${GONE}\n", "routes.yaml")
    text = (
        "the environment variable GONE is not set; set it, or write a default: ${GONE:-...}"
        " [missing-variable]"
    )
    _, [error] = substitute(document, {}, missing="error")
    assert str(error) == f"routes.yaml:2:4: {text}"
    _, [warning] = substitute(document, {}, missing="warning")
    assert str(warning) == f"routes.yaml:2:4: warning: {text}"


def test_a_text_with_a_missing_variable_stays_whole_and_the_others_are_filled_in() -> None:
    value = {"a": ["$${x} ${NAME} ${GONE} ${LOST}", "${NAME}"], "b": {"c": "${GONE}"}}
    document, problems = substitute(of(value), ENV, missing="warning")
    assert document.value == {"a": [value["a"][0], "blue"], "b": {"c": "${GONE}"}}  # type: ignore[index]
    assert document.unresolved == {("a", 0), ("b", "c")}
    assert [p.message.split()[3] for p in problems] == ["GONE", "LOST", "GONE"]


def test_keys_and_what_is_not_text_are_left_alone() -> None:
    value = {"${NAME}": 1, "n": [1, 2.5, True, None, {}]}
    document, problems = substitute(of(value), ENV, missing="error")
    assert (document.value, problems) == (value, [])


def test_the_variables_used_are_known_with_what_they_stood_for() -> None:
    value = ["${NAME} ${NAME}", "${GONE:-red}", "$${NUMBER}", "${LOST}"]
    document, _ = substitute(of(value), ENV, missing="warning")
    assert document.used == {"NAME": "blue", "GONE": "red"}


def test_the_document_before_is_not_changed() -> None:
    value = {"a": [{"b": "${NAME}"}], "c": {"d": "e"}}
    before = of(value)
    after, _ = substitute(before, ENV, missing="error")
    assert before.value == {"a": [{"b": "${NAME}"}], "c": {"d": "e"}}
    assert after.value == {"a": [{"b": "blue"}], "c": {"d": "e"}}


def test_positions_survive() -> None:
    document = read_document("a: ${NAME}\n", "routes.yaml")
    after, _ = substitute(document, ENV, missing="error")
    assert str(after.diagnostic(("a",), "code", "message")) == "routes.yaml:1:4: message [code]"
    assert after.source(("a",)) == "${NAME}"


def test_bytes_that_are_not_utf_8_in_a_value_are_an_error_that_does_not_show_them() -> None:
    _, [problem] = substitute(of(["${BAD}"]), {"BAD": "secret\udcff"}, missing="warning")
    assert (problem.code, problem.severity) == ("variable-not-utf-8", "error")
    assert "secret" not in str(problem)


def test_values_are_in_no_repr() -> None:
    document, _ = substitute(of(["${SECRET}"]), {"SECRET": "planted"}, missing="error")
    assert "planted" not in repr(document)


@given(st.text(), st.text(alphabet="${}:-NAME"))
def test_no_value_can_do_anything_but_stand_in_the_text(value: str, around: str) -> None:
    document, problems = substitute(of([around + "${V}"]), {"V": value}, missing="error")
    if not problems:
        assert isinstance(document.value, list)
        assert document.value[0].endswith(("${V}", value))


def test_tests_stay_as_they_are_written() -> None:
    tests = [{"message": {"body": {"text": "${NAME} ${GONE} ${ $${NAME}"}}}]
    inside = {"tests": "${NAME}"}
    document, problems = substitute(of({"tests": tests, "a": inside}), ENV, missing="error")

    assert problems == []
    assert document.value == {"tests": tests, "a": {"tests": "blue"}}
