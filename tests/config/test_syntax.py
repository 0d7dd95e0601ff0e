"""Broken YAML: what is said of it, whichever parser is there."""

import pytest
import yaml

from lambdo_router.config.diagnostics import ConfigError
from lambdo_router.config.read.yaml_loader import read_document


@pytest.fixture(params=["libyaml", "python"], autouse=True)
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)


def reported(text: str) -> list[str]:
    """`line:column message` of what is wrong."""
    with pytest.raises(ConfigError) as caught:
        read_document(text, "f")
    return [f"{it.line}:{it.column} {it.message}" for it in caught.value.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "q: {url: ${URL}}",
            '1:11 a variable inside brackets or braces needs quotes: "${URL}"',
            id="variable-in-braces",
        ),
        pytest.param(
            "c: [a, ${B:-c}]",
            '1:9 a variable inside brackets or braces needs quotes: "${B:-c}"',
            id="variable-in-brackets",
        ),
        pytest.param(
            "c: [a, ${B",
            '1:9 a variable inside brackets or braces needs quotes: "${...}"',
            id="half-a-variable",
        ),
        pytest.param(
            "a: [b\nc: d\n",
            "2:2 a `,` or a `]` is missing before this: the `[` of line 1 is still open",
            id="list-goes-on",
        ),
        pytest.param(
            '{"a": 1 "b": 2}',
            "1:12 a `,` or a `}` is missing before this: the `{` of line 1 is still open",
            id="no-comma",
        ),
        pytest.param("a: {b: c", "1:4 this `{` is never closed; write its `}`", id="never-closed"),
        pytest.param("a: {b: [", "1:8 this `[` is never closed; write its `]`", id="never-begun"),
        pytest.param("a: [b]]\n", "1:7 there is nothing open for this `]` to close", id="too-many"),
        pytest.param("a: %b", "1:4 text cannot begin with `%`; quote it", id="percent"),
        pytest.param(
            "a: [{wildcard: *.png}]", "1:16 text cannot begin with `*`; quote it", id="star"
        ),
        pytest.param("a: &", "1:4 text cannot begin with `&`; quote it", id="ampersand"),
        pytest.param(
            "a: |x",
            "1:4 a `|` or `>` begins a text of several lines; quote it if it is part of the text",
            id="bar",
        ),
        pytest.param("a: b: c", "1:5 a second `: ` in the same value; quote the value", id="colon"),
        pytest.param(
            "r:\n  a: 1\n    b: 2\n",
            "3:6 `b` cannot be a key here; align it with the keys that it belongs to, or check "
            "whether the line above it lacks a `: `",
            id="too-far-in",
        ),
        pytest.param(
            "d:\n  app acme\n  region: iad\n",
            "3:9 `region` cannot be a key here; align it with the keys that it belongs to, or "
            "check whether the line above it lacks a `: `",
            id="no-colon-above",
        ),
        pytest.param(
            "d:\n  x: 1\n  app acme\n  y: 1\n",
            "3:3 this is not a `key: value`; a `: ` is missing",
            id="no-colon",
        ),
        pytest.param(
            "r:\n  - a: 1\n   b: 2\n",
            "3:4 the indentation of this line fits nothing above it; align it with what it "
            "belongs to, or begin an item of the list of line 2 with `- `",
            id="between-item-and-key",
        ),
        pytest.param(
            "r:\n    a: 1\n  b: 2\n",
            "3:3 the indentation of this line fits nothing above it; align it with what it "
            "belongs to",
            id="between-keys",
        ),
        pytest.param(
            "r:\n  a: 1\n  - b: 2\n",
            "3:3 an item of a list among keys; align its `-` with those of the other items",
            id="item-among-keys",
        ),
        pytest.param(
            'a: "b" c\n',
            "1:8 the value has ended before this; to make it part of the value, quote all of it",
            id="after-the-value",
        ),
        pytest.param("a: [b, , c]", "1:8 a value is missing before this `,`", id="no-value"),
        pytest.param('a: "b\nc: d\n', "1:4 this quote is never closed", id="quote"),
        pytest.param(
            'a: {u: "b}\nc: [">", 5]\n',
            "2:6 text cannot begin with `>`; quote it; or is a quote in line 1 not closed?",
            id="quote-that-ends-in-another",
        ),
        pytest.param("a: b\n\tc: d\n", "2:1 a tab cannot indent or separate; use spaces", id="tab"),
        pytest.param(
            "a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> theirs\n",
            "2:1 git left a merge conflict here, marked from line 2 on",
            id="conflict",
        ),
    ],
)
def test_a_mistake_is_told_in_words_for_its_author(text: str, expected: str) -> None:
    assert reported(text) == [expected]


def test_an_escape_that_does_not_exist_is_named() -> None:
    [message] = reported(r'a: "\d+"')

    assert message.endswith(
        r"`\d` means nothing in double quotes; in single quotes a backslash is a backslash"
    )


def test_what_nobody_foresaw_is_told_in_the_words_of_the_parser() -> None:
    [message] = reported("%YAML 2.0\n---\na: b")

    assert "found incompatible YAML document" in message
