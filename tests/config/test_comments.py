import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.config.read.comments import Comment, comments
from lambdo_router.config.read.yaml_loader import parse_document


def found(text: str) -> list[Comment]:
    return list(comments(text.split("\n"), lambda line: "#" in line))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1 # x", [Comment(1, 6, "# x", alone=False)], id="after-a-value"),
        pytest.param("# x\na: 1", [Comment(1, 1, "# x", alone=True)], id="first-line"),
        pytest.param("a: 1\n  # x", [Comment(2, 3, "# x", alone=True)], id="last-line"),
        pytest.param("a: 1 # x # y", [Comment(1, 6, "# x # y", alone=False)], id="two-signs"),
        pytest.param("a: x#y # z", [Comment(1, 8, "# z", alone=False)], id="sign-in-a-word"),
        pytest.param("a: '日本' # x", [Comment(1, 9, "# x", alone=False)], id="code-points"),
        pytest.param("a: '# x'", [], id="single-quotes"),
        pytest.param('a: "# x" # y', [Comment(1, 10, "# y", alone=False)], id="double-quotes"),
        pytest.param("a: 'it''s # x' # y", [Comment(1, 16, "# y", alone=False)], id="'' "),
        pytest.param('a: "\\" # x" # y', [Comment(1, 13, "# y", alone=False)], id="escaped-quote"),
        pytest.param("'# a': 1 # x", [Comment(1, 10, "# x", alone=False)], id="quoted-key"),
        pytest.param(
            "a: 'x\n  # y\n  z' # w", [Comment(3, 6, "# w", alone=False)], id="over-lines"
        ),
        pytest.param("a: x\n  y # z", [Comment(2, 5, "# z", alone=False)], id="plain-over-lines"),
        pytest.param("a: |\n  # x\n# y", [Comment(3, 1, "# y", alone=True)], id="block"),
        pytest.param("a: | # x\n  # y", [Comment(1, 6, "# x", alone=False)], id="block-header"),
        pytest.param("a: >-2 # x\n   # y", [Comment(1, 8, "# x", alone=False)], id="folded-header"),
        pytest.param("a: |\n  # x\n\n # y", [Comment(4, 2, "# y", alone=True)], id="dedented"),
        pytest.param("a: |", [], id="empty-block"),
        pytest.param("[a, # x\n 'b']", [Comment(1, 5, "# x", alone=False)], id="flow"),
        pytest.param("--- # x\na: 1", [Comment(1, 5, "# x", alone=False)], id="document-start"),
        pytest.param("a: [ # x", [], id="not-yaml"),
        pytest.param("[" * 65 + "]" * 65 + " # x", [], id="too-deep"),
        pytest.param("a: '\\ud800' # x", [Comment(1, 13, "# x", alone=False)], id="backslash"),
    ],
)
def test_a_comment_is_what_yaml_passes_over(text: str, expected: list[Comment]) -> None:
    assert found(text) == expected


def test_lines_that_are_not_wanted_are_not_looked_at() -> None:
    lines = ["a: 1 # x", "b: 2 # y"]

    assert [one.line for one in comments(lines, lambda line: "y" in line)] == [2]
    assert list(comments(["[ # x"], lambda line: "y" in line)) == []


TEXT = st.text("ab#'\"\\ :|>-,[]{}&*!%@`日", min_size=1, max_size=12).map(str.strip).filter(bool)


def is_plain(text: str) -> bool:
    """Whether YAML takes it as it is, without quotes, and without a comment in it."""
    try:
        return bool(yaml.safe_load(f"a: {text} # x") == {"a": text})
    except yaml.YAMLError:
        return False


def written(text: str) -> st.SearchStrategy[list[str]]:
    """A value as YAML: the rest of the line of its key, and the lines below."""
    ways = [
        ["'" + text.replace("'", "''") + "'"],
        [json.dumps(text, ensure_ascii=False)],
        ["|", f"    {text}", f"    # {text}"],
        [">-", f"    {text}"],
        [f"[{json.dumps(text)},", f"   {json.dumps(text)}]"],
    ]
    return st.sampled_from([*ways, *([[text]] if is_plain(text) else [])])


@given(st.lists(st.tuples(TEXT.flatmap(written), st.booleans(), st.booleans()), max_size=6))
def test_every_comment_is_found_and_nothing_else(
    values: list[tuple[list[str], bool, bool]],
) -> None:
    lines: list[str] = []
    expected: list[Comment] = []
    for index, (value, ends, alone) in enumerate(values):
        first = f"k{index}: {value[0]}"
        if ends:
            expected.append(Comment(len(lines) + 1, len(first) + 2, "# real", alone=False))
            first += " # real"
        lines += [first, *value[1:]]
        if alone:
            lines.append("# real")
            expected.append(Comment(len(lines), 1, "# real", alone=True))

    assert found("\n".join(lines)) == expected


@given(st.lists(st.sampled_from([*"ab#'\"|>:-,[]{}\n ", "# ", " #", "a: ", "\n  "]), max_size=40))
def test_a_file_says_the_same_without_its_comments(pieces: list[str]) -> None:
    text = "".join(pieces)
    lines = text.split("\n")
    for comment in found(text):
        assert comment.text.startswith("#")
        lines[comment.line - 1] = lines[comment.line - 1][: comment.column - 1]
    before, problems = parse_document(text, "a.yaml")
    after, _ = parse_document("\n".join(lines), "a.yaml")

    if before is not None and after is not None and not problems:
        assert after.value == before.value


@given(st.text())
def test_any_text_can_be_asked_for_its_comments(text: str) -> None:
    assert all(one.text.startswith("#") for one in found(text))
