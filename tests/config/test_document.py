import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambdo_router.config.diagnostics import ConfigError, Diagnostic, render
from lambdo_router.config.read import yaml_loader as module
from lambdo_router.config.read.text import source_lines
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.core.strict_json import WideNumber


@pytest.fixture(params=["libyaml", "python"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers that PyYAML may bring."""
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    elif not yaml.__with_libyaml__:
        pytest.skip("this PyYAML has no libyaml")


def problems(text: str | bytes) -> list[str]:
    """What is wrong with the file `f`."""
    with pytest.raises(ConfigError) as caught:
        read_document(text, "f")
    return [str(problem) for problem in caught.value.diagnostics]


def codes(text: str | bytes) -> list[str]:
    """`line:column code` of what is wrong."""
    with pytest.raises(ConfigError) as caught:
        read_document(text, "f")
    return [f"{p.line}:{p.column} {p.code}" for p in caught.value.diagnostics]


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-12", -12),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1.10", 1.1),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("1E+3", 1000.0),
        ("2.5e-1", 0.25),
    ],
)
def test_json_scalars_are_typed(written: str, value: object) -> None:
    found = read_document(f"a: {written}", "f").value
    assert found == {"a": value}
    assert isinstance(found, dict)
    assert type(found["a"]) is type(value)


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    "written",
    [
        *("yes", "no", "NO", "on", "off", "True", "TRUE", "False", "Null", "NULL", "y", "n"),
        *("1_000", "0x1F", "0o17", "017", "08", "00", "+1", "1.", ".5", "1.e3", "-01", "1e"),
        *("22:22", "1:30", "12:30:45.5", "2024-01-01", "2024-01-01T00:00:00Z", "0b11"),
        *(".inf", "-.inf", ".nan", "=", "1 2", "٣", "a#b", "-a", "NaN", "Infinity"),
    ],
)
def test_everything_else_is_text(written: str) -> None:
    assert read_document(f"a: {written}", "f").value == {"a": written}


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize("written", ['"1"', "'true'", '"null"', "''", '"~"', "|-\n  1"])
def test_quoted_and_block_scalars_are_text(written: str) -> None:
    found = read_document(f"a: {written}", "f").value
    assert isinstance(found, dict)
    assert isinstance(found["a"], str)


@pytest.mark.usefixtures("_parser")
def test_lists_and_mappings_in_both_styles() -> None:
    text = "a:\n- 1\n- b: {c: [x, {}], d: []}\n  e:\n    f: |\n      g\n      h\ni: >-\n  j\n  k\n"
    assert read_document(text.encode(), "f").value == {
        "a": [1, {"b": {"c": ["x", {}], "d": []}, "e": {"f": "g\nh\n"}}],
        "i": "j k",
    }


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\nb: 2\na: 3", ["3:1 duplicate-key"], id="duplicate-key"),
        pytest.param('{a: 1, "a": 2}', ["1:8 duplicate-key"], id="duplicate-key-quoted"),
        pytest.param("a: &x 1", ["1:4 anchor"], id="anchor"),
        pytest.param("a: &x {b: 1}", ["1:4 anchor"], id="anchor-on-mapping"),
        pytest.param("&x a: 1", ["1:1 anchor"], id="anchor-on-key"),
        pytest.param("a: [1, *x]", ["1:8 alias"], id="alias"),
        pytest.param("*x : 1", ["1:1 alias"], id="alias-as-key"),
        pytest.param("a:\n  <<: {b: 1}", ["2:3 merge-key"], id="merge-key"),
        pytest.param("a: !!str 1", ["1:4 tag"], id="tag"),
        pytest.param("a: !custom {}", ["1:4 tag"], id="tag-on-mapping"),
        pytest.param("a: ! b", ["1:4 tag"], id="the-tag-of-no-tag"),
        pytest.param("!!timestamp a: b", ["1:1 tag"], id="tag-on-key"),
        pytest.param("%TAG ! tag:x:\n---\na: b", ["1:1 tag"], id="tag-directive"),
        pytest.param("1: a", ["1:1 key-not-text"], id="number-as-key"),
        pytest.param("a: {true: b}", ["1:5 key-not-text"], id="boolean-as-key"),
        pytest.param("~: a", ["1:1 key-not-text"], id="null-as-key"),
        pytest.param("?\n: a", ["1:2 key-not-text"], id="nothing-as-key"),
        pytest.param("? [a, b]\n: c", ["1:3 key-not-text"], id="list-as-key"),
        pytest.param("? {a: b}\n: c", ["1:3 key-not-text"], id="mapping-as-key"),
        pytest.param("a: 1\n---\nb: 2", ["2:1 several-documents"], id="several-documents"),
        pytest.param("a: 1e999", ["1:4 number-out-of-range"], id="infinite"),
        pytest.param(f"a: {'9' * 5000}", ["1:4 number-out-of-range"], id="too-many-digits"),
        pytest.param("", ["1:1 empty-file"], id="empty"),
        pytest.param("# only\n# comments\n", ["1:1 empty-file"], id="comments-only"),
        pytest.param("---\n...\n", ["1:1 empty-file"], id="empty-document"),
        pytest.param("null", ["1:1 empty-file"], id="null-document"),
        pytest.param("a:\n\tb: c", ["2:1 tab"], id="tab-as-indentation"),
        pytest.param("\ta: b", ["1:1 tab"], id="tab-at-the-start"),
        pytest.param("a: @b", ["1:4 yaml-syntax"], id="reserved-character"),
        pytest.param("a: b: c", ["1:5 yaml-syntax"], id="key-in-a-value"),
        pytest.param("x: 1\na: 'b\nc: d\n", ["2:4 yaml-syntax"], id="quote-not-closed"),
        pytest.param("x: 1\na: [b,\n\n", ["2:4 yaml-syntax"], id="list-not-closed"),
        pytest.param("a: {b: c", ["1:4 yaml-syntax"], id="mapping-not-closed"),
        pytest.param("a:\n  - b\n c: d", ["3:2 yaml-syntax"], id="wrong-indentation"),
        pytest.param("a: b\n...\nc: d", ["3:1 yaml-syntax"], id="text-after-the-end"),
        pytest.param("%YAML 2.0\n---\na: b", ["1:1 yaml-syntax"], id="another-yaml"),
    ],
)
def test_what_is_refused_and_where(text: str, expected: list[str]) -> None:
    assert codes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\n\na: 3", "the key `a` is already used in line 1", id="duplicate"),
        pytest.param("404: x", "the key `404` is not text; write it in quotes", id="key"),
        pytest.param("a: *x", "aliases like `*x` are not allowed; write the value out", id="alias"),
        pytest.param(
            "a: !!int 1",
            "tags like `!!int` are not allowed; to make text of it, quote it",
            id="tag",
        ),
    ],
)
def test_messages_say_what_to_do(text: str, expected: str) -> None:
    [problem] = problems(text)
    assert expected in problem


@pytest.mark.usefixtures("_parser")
def test_all_problems_are_reported_up_to_one_that_hides_the_rest() -> None:
    text = "a: &x 1\na: *x\n1: {b: !!str 2, b: 3}\n<<: 4\nc: ]\nd: &y 1\n"
    assert codes(text) == [
        "1:4 anchor",
        "2:1 duplicate-key",
        "2:4 alias",
        "3:1 key-not-text",
        "3:8 tag",
        "3:17 duplicate-key",
        "4:1 merge-key",
        "5:4 yaml-syntax",
    ]


@pytest.mark.usefixtures("_parser")
def test_a_quoted_merge_key_is_a_key() -> None:
    assert read_document('"<<": a', "f").value == {"<<": "a"}


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"a: b\nc: \xff", ["2:4 not-utf-8"], id="invalid-utf-8"),
        pytest.param("é: ".encode() + b"\xc3", ["1:4 not-utf-8"], id="cut-utf-8"),
        pytest.param("a: b".encode("utf-16"), ["1:1 not-utf-8"], id="utf-16"),
        pytest.param(b"\xef\xbb\xbfa: b", ["1:1 byte-order-mark"], id="byte-order-mark"),
        pytest.param("a: \ufeffb", ["1:4 byte-order-mark"], id="byte-order-mark-inside"),
        pytest.param(
            b"a: \0\nb: \x07\x07",
            ["1:4 character-not-allowed", "2:4 character-not-allowed", "2:5 character-not-allowed"],
            id="nul-and-bells",
        ),
        pytest.param("a: \x7f", ["1:4 character-not-allowed"], id="delete"),
        pytest.param("a: '\u2028'", ["1:5 character-not-allowed"], id="line-separator"),
        pytest.param("a: b\x85c", ["1:5 character-not-allowed"], id="next-line"),
        pytest.param("a: \ud800", ["1:4 character-not-allowed"], id="surrogate"),
        pytest.param(
            "a: b\x0cc\nd: \x0b",
            ["1:5 character-not-allowed", "2:4 character-not-allowed"],
            id="feeds",
        ),
    ],
)
def test_bytes_and_characters_that_are_refused(text: str | bytes, expected: list[str]) -> None:
    assert codes(text) == expected


def test_a_refused_character_is_named() -> None:
    [problem] = problems("a: \0")
    what = r'found \x00; in a value, write it as an escape in "double quotes"'
    assert problem == f"f:1:4: {what} [character-not-allowed]"


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize("escaped", [r'"\ud800"', r'"\UFFFFFFFF"', r'"\x"', r'"\q"'])
def test_escapes_that_are_no_characters_are_refused(escaped: str) -> None:
    [problem] = codes(f"a: {escaped}")
    assert problem.endswith((" yaml-syntax", " character-not-allowed"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 4 * 1024 * 1024 + ":", id="text"),
        pytest.param(b"\xff" * (4 * 1024 * 1024 + 1), id="bytes"),
        pytest.param("é" * 2_097_153, id="text-of-more-bytes-than-characters"),
    ],
)
def test_a_file_over_4_mib_is_refused(text: str | bytes) -> None:
    [problem] = codes(text)
    assert problem == "1:1 file-too-large"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("12345678901234567890", 12345678901234567890, id="long-integer"),
        pytest.param("0.1", 0.1, id="a-double-stands-for-it"),
        pytest.param("1.00000000000000000001", WideNumber("1.00000000000000000001"), id="wide"),
        pytest.param("1e-400", WideNumber("1e-400"), id="too-small-for-a-double"),
    ],
)
def test_a_number_keeps_every_digit(text: str, value: object) -> None:
    assert read_document(f"a: {text}", "f").value == {"a": value}


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("[" * 100_000, "1:65", id="lists"),
        pytest.param("[\n" * 100_000, "65:1", id="lists-in-lines"),
        pytest.param("{a: " * 100_000, "1:257", id="mappings"),
        pytest.param("- " * 100_000, "1:129", id="block-lists"),
        pytest.param("? " * 100_000, "1:129", id="keys"),
    ],
)
def test_nesting_is_cut_off_before_it_hurts(text: str, place: str) -> None:
    assert codes(text) == [f"{place} too-deep"]


def test_64_levels_are_allowed() -> None:
    assert codes("[" * 64 + "]" * 64 + "x")[0].endswith("yaml-syntax")
    value = read_document("[" * 64 + "]" * 64, "f").value
    for _ in range(63):
        assert isinstance(value, list)
        [value] = value
    assert value == []


def test_values_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VALUES", 5)
    assert read_document("[1, 2, 3, 4]", "f").value == [1, 2, 3, 4]
    assert problems("[1, 2,\n3, 4, 5]") == ["f:2:7: the file has over 5 values [too-many-values]"]


def test_the_hundredth_problem_is_the_last() -> None:
    assert len(problems("- &a b\n" * 1000)) == 100
    assert len(problems("\0" * 1000)) == 100


TEXT = """\
version: 1
routes:
  - name: "first"
    queue: [uploads,
            others]
    match:
  - {name: söcond 🙂, image: x}
empty:
"""


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize(
    ("path", "on", "place"),
    [
        pytest.param((), "value", (1, 1, None), id="root"),
        pytest.param((), "key", (1, 1, None), id="root-has-no-key"),
        pytest.param(("version",), "value", (1, 10, 11), id="number"),
        pytest.param(("version",), "key", (1, 1, 8), id="key"),
        pytest.param(("routes",), "key", (2, 1, 7), id="key-of-a-list"),
        pytest.param(("routes",), "value", (3, 3, None), id="list"),
        pytest.param(("routes", 0), "value", (3, 5, None), id="entry"),
        pytest.param(("routes", 0), "key", (3, 5, None), id="entry-has-no-key"),
        pytest.param(("routes", 0, "name"), "value", (3, 11, 18), id="quoted"),
        pytest.param(("routes", 0, "queue", 1), "value", (5, 13, 19), id="in-a-flow-list"),
        pytest.param(("routes", 0, "match"), "value", (6, 11, 11), id="no-value"),
        pytest.param(("routes", 1), "value", (7, 5, None), id="flow-mapping"),
        pytest.param(("routes", 1, "name"), "value", (7, 12, 20), id="columns-are-code-points"),
        pytest.param(("routes", 1, "image"), "key", (7, 22, 27), id="key-after-an-emoji"),
        pytest.param(("routes", 1, "size"), "key", (7, 5, None), id="missing-key"),
        pytest.param(("routes", 0, "queue", 2), "key", (4, 5, 10), id="missing-entry"),
        pytest.param(("version", "x", 3), "value", (1, 10, 11), id="below-a-scalar"),
        pytest.param(("routes", "name"), "key", (2, 1, 7), id="name-into-a-list"),
        pytest.param((3, "name"), "value", (1, 1, None), id="index-into-a-mapping"),
        pytest.param(("routes", -1), "value", (3, 3, None), id="negative-index"),
    ],
)
def test_every_key_and_value_has_its_place(
    path: tuple[str | int, ...], on: str, place: tuple[int, int, int | None]
) -> None:
    document = read_document(TEXT, "f")
    found = document.diagnostic(path, "code", "message", on="key" if on == "key" else "value")
    assert (found.line, found.column, found.end_column) == place


def test_a_diagnostic_carries_what_it_was_given() -> None:
    found = read_document(TEXT, "routes.yaml").diagnostic(
        ("version",), "some-code", "odd", severity="warning", hint="do right"
    )
    assert str(found) == "routes.yaml:1:10: warning: odd; do right [some-code]"


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("version",), "1"),
        (("routes", 0, "name"), '"first"'),
        (("routes", 1, "name"), "söcond 🙂"),
        (("routes", 1), ""),
        (("routes", 7), ""),
        (("empty",), ""),
    ],
)
def test_the_source_of_a_scalar(path: tuple[str | int, ...], written: str) -> None:
    assert read_document(TEXT, "f").source(path) == written


@pytest.mark.usefixtures("_parser")
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_editors_do(newline: str) -> None:
    document = read_document(newline.join(["# one", "a: b", "c: d", ""]), "f")
    assert list(document.lines) == ["# one", "a: b", "c: d", ""]
    assert document.diagnostic(("c",), "code", "").line == 3


def test_both_parsers_build_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_document(TEXT, "f")
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    second = read_document(TEXT, "f")
    assert first == second
    assert first._root == second._root


def test_values_are_in_no_repr() -> None:
    assert "uploads" not in repr(read_document(TEXT, "f"))


def test_long_names_are_cut_in_messages() -> None:
    long = "x" * 5000
    [problem] = problems(f"? {long}\n: 1\n? {long}\n: 2\n")
    assert len(problem) < 200


LAYOUT = st.sampled_from(
    [
        *("\n", "  ", "- ", ": ", "? ", "[", "]", "{", "}", ", "),
        *("a", "1", "'", '"', "|", ">", "#"),
        *("&x ", "*x", "!!str ", "---\n", "...\n", "%YAML 1.2\n", "<<", "~", "\t", "\\", "\\ud800"),
        *("\0", "é", "@"),
    ]
)


@pytest.mark.usefixtures("_parser")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(), st.text(), st.lists(LAYOUT, max_size=40).map("".join)))
def test_whatever_a_file_holds_it_is_read_or_refused_at_places_in_it(text: str | bytes) -> None:
    found: tuple[Diagnostic, ...] = ()
    try:
        value = read_document(text, "f").value
    except ConfigError as error:
        found = error.diagnostics
        value = None
    assert (value is None) == bool(found)
    json.dumps(value, allow_nan=False).encode()
    lines = source_lines(text)
    for problem in found:
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert render(problem, lines).count("\n") == 2


# JSON writes a character beyond U+FFFF as two halves, which YAML does not put together, and leaves
# DEL as it is.
CHARACTERS = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"], exclude_characters="\x7f"),
    max_size=20,
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | CHARACTERS,
    lambda inner: st.lists(inner) | st.dictionaries(CHARACTERS, inner),
    max_leaves=20,
)


@pytest.mark.usefixtures("_parser")
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(JSON.filter(lambda value: value is not None))
def test_json_means_the_same_in_yaml(value: object) -> None:
    found = read_document(json.dumps(value), "f").value
    assert json.dumps(found) == json.dumps(value)
