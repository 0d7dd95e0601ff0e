import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.schemas import CompiledSchema, EventSchema, SchemaError, compile_schema
from lambdo_router.core.schemas.keywords import FORMATS
from lambdo_router.core.strict_json import parse_json

ROOT = Path("schemas/order.json")


def reader(files: Mapping[str, object]) -> Callable[[Path], bytes]:
    """Reads from memory: names in the folder of ROOT, contents as bytes or to be made JSON."""

    def read(path: Path) -> bytes:
        name = path.relative_to(ROOT.parent).as_posix()
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        content = files[name]
        return content if isinstance(content, bytes) else json.dumps(content).encode()

    return read


def compiled(root: object, **others: object) -> CompiledSchema:
    return compile_schema(ROOT, reader({"order.json": root} | named(others)))


def named(others: Mapping[str, object]) -> dict[str, object]:
    return {f"{name.replace('__', '/')}.json": content for name, content in others.items()}


def schema(root: object, **others: object) -> EventSchema:
    return compiled(root, **others).schema


def refused(root: object, **others: object) -> list[str]:
    """What is wrong with the schema, as `code: text`."""
    with pytest.raises(SchemaError) as caught:
        compiled(root, **others)
    return [f"{problem.code}: {problem}" for problem in caught.value.problems]


ORDER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer"},
        "items": {"type": "array", "items": {"properties": {"sku": {"type": "integer"}}}},
        "day": {"format": "date"},
        "color": {"enum": ["red", "blue"]},
        "no": False,
        "pair": {"maxItems": 1, "type": "array"},
        "text": {"pattern": "^a+$", "minLength": 2},
    },
}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param({"id": 1, "items": [{"sku": 1.0}]}, (), id="it-fits"),
        pytest.param({}, ('the event: "id" is a required property',), id="at-the-root"),
        pytest.param({"id": True}, ('id: true is not of type "integer"',), id="true-is-no-number"),
        pytest.param({"id": None}, ('id: null is not of type "integer"',), id="null"),
        pytest.param({"id": {"a": 1}}, ('id: the object is not of type "integer"',), id="object"),
        pytest.param(
            {"id": 1, "pair": [1, 2]}, ("pair: the array has more than 1 item",), id="list"
        ),
        pytest.param(
            {"id": 1, "items": [{}, {}, {"sku": "x"}]},
            ('items[2].sku: "x" is not of type "integer"',),
            id="below-a-list",
        ),
        pytest.param(
            {"id": 1, "day": "2024-02-30"}, ('day: "2024-02-30" is not a "date"',), id="format"
        ),
        pytest.param(
            {"id": 1, "color": "x"}, ('color: "x" is not one of "red" or "blue"',), id="enum"
        ),
        pytest.param({"id": 1, "no": 1}, ("no: is not allowed",), id="false"),
        pytest.param(
            {"id": 1, "text": "aa\n"}, (r'text: "aa\n" does not match "^a+$"',), id="pattern"
        ),
    ],
)
def test_problems_name_the_path_first(event: object, expected: tuple[str, ...]) -> None:
    assert schema(ORDER).problems(event) == expected


@pytest.mark.parametrize(
    ("root", "event", "expected"),
    [
        pytest.param(
            {"anyOf": [{"type": "string"}, {"properties": {"a": {"type": "null"}}}]},
            {"a": 1},
            "the event: fits none of the 2 schemas of anyOf; "
            'of the nearest: a: 1 is not of type "null"',
            id="any-of",
        ),
        pytest.param(
            {"properties": {"a": {"oneOf": [{"required": ["x", "y"]}, {"required": ["z"]}]}}},
            {"a": {}},
            'a: fits none of the 2 schemas of oneOf; of the nearest: a: "z" is a required property',
            id="one-of",
        ),
        pytest.param(
            {"oneOf": [{"required": ["x"]}, {"required": ["y"]}]},
            {"x": 1, "y": 1},
            "the event: the object is valid under more than one of the schemas listed in the "
            "'oneOf' keyword",
            id="more-than-one",
        ),
        pytest.param(
            {"additionalProperties": False},
            {"a": 1},
            "the event: has a property, and none is allowed",
            id="no-properties",
        ),
        pytest.param(
            {"properties": {"a": {}}, "additionalProperties": False},
            {"a": 1, "b": 2},
            "the event: Additional properties are not allowed ('b' was unexpected)",
            id="additional-properties",
        ),
        pytest.param(
            {"additionalProperties": {"type": "null"}},
            {"a b": 1},
            '["a b"]: 1 is not of type "null"',
            id="a-key-that-is-no-word",
        ),
        pytest.param(
            {"additionalProperties": {"additionalProperties": {"type": "null"}}},
            {"a.b": {"c\n\x1b": 1}},
            r'["a.b"]["c\n\u001b"]: 1 is not of type "null"',
            id="keys-are-escaped",
        ),
        pytest.param(
            {"properties": {"a": {"type": "null"}}},
            {"a": "\x1b[31m\u202e\n"},
            r'a: "\u001b[31m\u202e\n" is not of type "null"',
            id="values-are-escaped",
        ),
        pytest.param(
            {"properties": {"a": {"type": "null"}}},
            {"a": "x" * 1000},
            f'a: "{"x" * 60}..." is not of type "null"',
            id="values-are-cut",
        ),
        pytest.param(
            {"additionalProperties": {"type": "null"}},
            {"x" * 1000: 1},
            f'{"x" * 60}...: 1 is not of type "null"',
            id="keys-are-cut",
        ),
        pytest.param(False, {}, "the event: is not allowed", id="nothing-fits"),
    ],
)
def test_how_a_problem_is_told(root: object, event: object, expected: str) -> None:
    assert schema(root).problems(event) == (expected,)


def test_five_problems_are_told_and_the_others_counted() -> None:
    problems = schema({"additionalProperties": {"type": "null"}}).problems(
        dict.fromkeys("abcdefgh", 1)
    )
    assert problems == (*(f'{name}: 1 is not of type "null"' for name in "abcde"), "and 3 more")


@pytest.mark.parametrize(
    ("number", "allowed", "fits"),
    [
        ("1", {"type": "integer"}, True),
        ("1.0", {"type": "integer"}, True),
        ("1.5", {"type": "integer"}, False),
        ("1e400", {"type": "number"}, True),
        ("1e400", {"maximum": 5}, False),
        ("0.10000000000000000000001", {"const": 0.1}, False),
        ("1" * 4300, {"minimum": 5}, True),
        ("0.3", {"multipleOf": 0.1}, True),
    ],
)
def test_numbers_of_any_size_are_checked(number: str, allowed: object, fits: bool) -> None:  # noqa: FBT001 - a column of the table
    event = parse_json(f'{{"a": {number}}}')
    assert (schema({"properties": {"a": allowed}}).problems(event) == ()) == fits


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_known_format_is_checked(name: str) -> None:
    jsonschema_rs.Draft202012Validator(
        {"format": name}, validate_formats=True, ignore_unknown_formats=False
    )
    assert schema({"properties": {"a": {"format": name}}}).problems({"a": "\\ [("}) != ()


def test_schemas_are_equal_when_their_files_say_the_same() -> None:
    first, second = schema({"$ref": "a.json"}, a=True), schema({"$ref": "a.json"}, a=True)
    assert first == second
    assert hash(first) == hash(second)
    assert first != schema({"$ref": "a.json"}, a=False)
    assert first != schema({"$ref": "b.json"}, b=True)
    assert "Validator" not in repr(first)


def test_the_digest_does_not_depend_on_where_the_schema_lies() -> None:
    here = compile_schema(Path("here/a.json"), lambda _: b"{}")
    there = compile_schema(Path("/there/b.json"), lambda _: b"{}")
    assert here.schema == there.schema


# What a schema may refer to.


REFERENCES = {"$defs": {"n": {"type": "integer"}, "word": {"$anchor": "w", "type": "string"}}}


@pytest.mark.parametrize(
    ("root", "others"),
    [
        pytest.param({"$ref": "#/$defs/n"} | REFERENCES, {}, id="pointer"),
        pytest.param(
            {"$ref": "#m", "$defs": {"a": {"$anchor": "m", "type": "integer"}}}, {}, id="anchor"
        ),
        pytest.param({"$ref": "order.json#/$defs/n"} | REFERENCES, {}, id="its-own-name"),
        pytest.param({"$ref": "a.json"}, {"a": {"type": "integer"}}, id="file"),
        pytest.param({"$ref": "./b/../a.json#/$defs/n"}, {"a": REFERENCES}, id="file-and-pointer"),
        pytest.param(
            {"$ref": "b/a.json"},
            {"b__a": {"$ref": "../c.json"}, "c": {"type": "integer"}},
            id="up-and-down",
        ),
        pytest.param(
            {"$id": "https://x.test/s/order.json", "$ref": "a.json"},
            {"a": {"type": "integer"}},
            id="beside-an-id",
        ),
        pytest.param(
            {"$id": "https://x.test/s/order.json", "$ref": "a.json"} | REFERENCES,
            {"a": {"$id": "https://x.test/s/a.json", "$ref": "order.json#/$defs/n"}},
            id="to-an-id-and-back",
        ),
        pytest.param(
            {"$id": "https://x.test/s/order.json", "$ref": "https://x.test/s/order.json#/$defs/n"}
            | REFERENCES,
            {},
            id="its-own-id",
        ),
        pytest.param(
            {"$id": "urn:x:order", "$ref": "#/$defs/n"} | REFERENCES, {}, id="below-a-urn"
        ),
        pytest.param(
            {"$ref": "in.json#/$defs/n", "$defs": {"in": {"$id": "in.json"} | REFERENCES}},
            {},
            id="an-id-inside",
        ),
        pytest.param(
            {"$ref": "#/x-lib/a~1b%20c", "x-lib": {"a/b c": {"type": "integer"}}},
            {},
            id="outside-of-keywords",
        ),
        pytest.param(
            {"$ref": "#/definitions/a", "definitions": {"a": {"type": "integer"}}},
            {},
            id="definitions",
        ),
        pytest.param(
            {"$dynamicRef": "#d", "$defs": {"a": {"$dynamicAnchor": "d", "type": "integer"}}},
            {},
            id="dynamic",
        ),
    ],
)
def test_references_that_lead_somewhere(root: object, others: dict[str, object]) -> None:
    found = schema(root, **others)
    assert found.problems(1) == ()
    assert found.problems("x") == ('the event: "x" is not of type "integer"',)


FETCH = "is not fetched; put the file beside the schema and refer to that"
OUTSIDE = "is outside the folder of the schema, and may not be read"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        pytest.param(
            {"$ref": "https://x.test/a.json"},
            "# `https://x.test/a.json` " + FETCH,
            id="http",
        ),
        pytest.param(
            {"$id": "https://x.test/order.json", "not": {"$ref": "//y.test/a.json"}},
            "#/not `//y.test/a.json` " + FETCH,
            id="another-host",
        ),
        pytest.param(
            {"$ref": "file:///etc/passwd"},
            "# `file:///etc/passwd` " + FETCH,
            id="file-uri",
        ),
        pytest.param(
            {"$ref": "/etc/passwd"},
            "# `/etc/passwd` " + OUTSIDE,
            id="absolute",
        ),
        pytest.param(
            {"$ref": "b/../../order.json"},
            "# `b/../../order.json` " + OUTSIDE,
            id="up",
        ),
        pytest.param(
            {"$ref": "%2e%2e/a.json"},
            "# `%2e%2e/a.json` " + OUTSIDE,
            id="up-in-disguise",
        ),
        pytest.param(
            {"$ref": "a.json?b"},
            "# `a.json?b` " + OUTSIDE,
            id="query",
        ),
        pytest.param(
            {"$ref": "a b.json"},
            "# `a b.json` is not a URI reference; write a space as %20",
            id="space",
        ),
        pytest.param(
            {"$ref": "http://["},
            "# `http://[` is not a URI reference: Invalid IPv6 URL",
            id="nonsense",
        ),
        pytest.param(
            {"$defs": {"never": {"items": {"$ref": "#/$defs/x"}}}},
            "#/$defs/never/items `#/$defs/x` leads nowhere",
            id="in-a-branch-never-visited",
        ),
        pytest.param({"$ref": "#x"}, "# `#x` leads nowhere", id="anchor"),
        pytest.param(
            {"$ref": "#/prefixItems/x", "prefixItems": [True]},
            "# `#/prefixItems/x` leads nowhere",
            id="index",
        ),
        pytest.param({"$dynamicRef": "#x"}, "# `#x` leads nowhere", id="dynamic"),
        pytest.param(
            {"$ref": "#/required", "required": ["a"]},
            "# `#/required` does not lead to a schema",
            id="no-schema",
        ),
        pytest.param(
            {"$ref": "#/x-a", "x-a": {"$ref": "#/x-b"}},
            "#/x-a `#/x-b` leads nowhere",
            id="from-outside-of-keywords",
        ),
    ],
)
def test_references_that_are_refused(root: object, expected: str) -> None:
    where, _, rest = expected.partition(" ")
    assert refused(root) == [f"schema-ref: order.json{where}: the reference {rest}"]


def test_a_file_that_is_missing_is_named_where_it_is_referred_to_and_is_an_input() -> None:
    with pytest.raises(SchemaError) as caught:
        compiled({"properties": {"a": {"$ref": "a.json"}, "b": {"$ref": "a.json#/x"}}})
    [problem] = caught.value.problems
    assert str(problem) == "order.json#/properties/a: a.json cannot be read: there is no such file"
    assert (problem.file, problem.code) == (ROOT, "schema-not-readable")
    assert caught.value.inputs == (ROOT, Path("schemas/a.json"))


def test_a_schema_that_is_missing_is_a_problem_of_its_own_file() -> None:
    with pytest.raises(SchemaError) as caught:
        compile_schema(ROOT, reader({}))
    [problem] = caught.value.problems
    assert str(problem) == "order.json: there is no such file"
    assert (problem.file, problem.where, caught.value.inputs) == (ROOT, "", (ROOT,))


def test_every_file_is_an_input_and_is_read_once() -> None:
    read: list[Path] = []
    files = {
        "order.json": {
            "allOf": [{"$ref": "a.json"}, {"$ref": "sub/b.json"}, {"$ref": "./a.json#"}]
        },
        "a.json": {"$ref": "sub/b.json"},
        "sub/b.json": {"properties": {"a": {"$ref": "../order.json"}}},
    }

    def reading(path: Path) -> bytes:
        read.append(path)
        return reader(files)(path)

    inputs = compile_schema(ROOT, reading).inputs
    assert inputs == (ROOT, Path("schemas/a.json"), Path("schemas/sub/b.json"))
    assert tuple(read) == inputs


def test_files_are_counted() -> None:
    chain = {f"f{i}": {"$ref": f"f{i + 1}.json"} for i in range(200)}
    [problem] = refused({"$ref": "f0.json"}, **chain)
    why = "is one file too many; a schema has at most 100"
    assert problem == f"schema-ref: f98.json#: the reference `f99.json` {why}"


def test_nothing_is_ever_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def connect(*_: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    for reference in ("http://127.0.0.1:9/a.json", "https://x.test/", "file:///tmp/a.json"):
        assert len(refused({"properties": {"a": {"$ref": reference}}})) == 1


@pytest.mark.parametrize(
    "root",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"not": {"$ref": "#"}},
        {
            "$ref": "#/$defs/a",
            "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}},
        },
        {"$dynamicAnchor": "x", "oneOf": [{"$dynamicRef": "#x"}, {"$dynamicRef": "#x"}]},
        {
            "properties": {"a": {"$ref": "#"}},
            "additionalProperties": {"$ref": "#"},
            "type": "object",
        },
    ],
)
def test_schemas_that_lead_back_to_themselves_come_to_an_end(root: object) -> None:
    event: object = 1
    for _ in range(120):
        event = {"a": event}
    assert isinstance(schema(root).problems(event), tuple)


# What is wrong in a schema.


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            b'{"a": 1,\n "b" 2}',
            "order.json:2:6: this is not JSON: Expecting ':' delimiter",
            id="syntax",
        ),
        pytest.param(b"", "order.json:1:1: this is not JSON: Expecting value", id="empty"),
        pytest.param(b'{"a":\n "\xff"}', "order.json:2:3: this is not UTF-8", id="not-utf-8"),
        pytest.param(
            b"\xef\xbb\xbf{}",
            "order.json:1:1: this is not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig)",
            id="byte-order-mark",
        ),
        pytest.param(b'{"a": NaN}', "order.json: NaN is not JSON", id="nan"),
        pytest.param(
            b'{"minimum": 1e999}', "order.json: the number 1e999 is out of range", id="infinite"
        ),
        pytest.param(
            b'{"a": {"b": 1, "b": 2}}',
            "order.json: the key `b` occurs twice in one object",
            id="duplicate-key",
        ),
    ],
)
def test_what_is_not_json(content: bytes, expected: str) -> None:
    assert refused(content) == [f"schema-not-json: {expected}"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"[" * 100_000, "schema-too-deep", id="brackets"),
        pytest.param(b'{"not":' * 500 + b"{}" + b"}" * 500, "schema-too-deep", id="deep"),
        pytest.param(b'{"not":' * 65 + b"1" + b"}" * 65, "schema-too-deep", id="just-too-deep"),
        pytest.param(b" " * (1024 * 1024 + 1), "schema-too-large", id="large"),
        pytest.param(b'{"maximum": ' + b"9" * 5000 + b"}", "schema-not-json", id="digits"),
    ],
)
def test_schemas_beyond_bounds(content: bytes, code: str) -> None:
    [problem] = refused(content)
    assert problem.startswith(f"{code}: ")


def test_sixty_four_levels_are_allowed() -> None:
    assert schema(b'{"not":' * 62 + b"{}" + b"}" * 62).problems(1) == ()
    [problem] = schema(b'{"not":' * 63 + b"{}" + b"}" * 63).problems(1)
    assert len(problem) < 400


@pytest.mark.parametrize(
    "draft",
    [
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://x.test/my",
        7,
    ],
)
def test_other_drafts_are_refused(draft: object) -> None:
    allowed = "allowed is https://json-schema.org/draft/2020-12/schema, or no `$schema`"
    [problem] = refused({"$schema": draft, "type": "nonsense"})
    found = f"schema-draft: order.json#/$schema: `$schema` is {json.dumps(draft)}"
    assert problem == f"{found}; {allowed}"


@pytest.mark.parametrize("end", ["", "#"])
def test_the_draft_may_be_written_down(end: str) -> None:
    root = {"$schema": f"https://json-schema.org/draft/2020-12/schema{end}", "type": "object"}
    assert schema(root).problems({}) == ()


TYPES = "allowed are: array, boolean, integer, null, number, object, string"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        pytest.param(
            {"type": "objct"},
            f"#/type: there is no type `objct`; did you mean `object`? {TYPES}",
            id="type",
        ),
        pytest.param(
            {"type": ["xyz", "null"]}, f"#/type: there is no type `xyz`; {TYPES}", id="types"
        ),
        pytest.param(
            {"properties": {"a/b~": 3}},
            "#/properties/a~1b~0: 3 is not of type 'object', 'boolean'",
            id="schema",
        ),
        pytest.param(
            {"items": [{}]},
            "#/items: a list of schemas is called prefixItems in Draft 2020-12; items takes one",
            id="items",
        ),
        pytest.param(
            {"properties": {"a": {"required": True}}},
            "#/properties/a/required: "
            "required takes the list of the names required, beside properties",
            id="required",
        ),
        pytest.param(
            {"minLength": -1}, "#/minLength: -1 is less than the minimum of 0", id="number"
        ),
        pytest.param({"$ref": 3}, "#/$ref: 3 is not of type 'string'", id="ref"),
        pytest.param({"$id": 3}, "#/$id: 3 is not of type 'string'", id="id"),
        pytest.param([], "#: [] is not of type 'object', 'boolean'", id="list"),
        pytest.param(3, "#: 3 is not of type 'object', 'boolean'", id="number-as-schema"),
    ],
)
def test_what_the_draft_does_not_allow(root: object, expected: str) -> None:
    assert refused(root) == [f"schema-invalid: order.json{expected}"]


def test_the_files_that_are_referred_to_are_checked_as_well() -> None:
    [problem] = refused({"$ref": "a.json"}, a={"$defs": {"x": {"type": "nul"}}})
    found = "there is no type `nul`; did you mean `null`?"
    assert problem == f"schema-invalid: a.json#/$defs/x/type: {found} {TYPES}"


def test_two_schemas_cannot_have_one_id() -> None:
    root = {"$defs": {"a": {"$id": "x.json"}, "b": {"$id": "x.json"}}}
    assert refused(root) == [
        "schema-duplicate-id: order.json#/$defs/b: the `$id` x.json is taken already"
    ]


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        (r"^(?=a)b", "schema-pattern-not-linear"),
        (r"(?<!a)b", "schema-pattern-not-linear"),
        (r"(a)\1", "schema-pattern-not-linear"),
        (r"a{1000}{1000}", "schema-pattern-not-linear"),
        (r"[", "schema-pattern"),
        (r"a(", "schema-pattern"),
    ],
)
def test_patterns_that_are_refused_wherever_they_stand(pattern: str, code: str) -> None:
    roots = ({"$defs": {"never": {"pattern": pattern}}}, {"patternProperties": {pattern: True}})
    for root in roots:
        [problem] = refused(root)
        assert problem.startswith(f"{code}: order.json#/")
        assert f"`{pattern}`" in problem


@pytest.mark.parametrize(
    "pattern", [r"^\p{L}+$", r"^\d{4}-\d\d$", r"^\S+@\S+\.\w+$", r"^(a+)+$", r"\/|\-"]
)
def test_patterns_that_are_taken(pattern: str) -> None:
    assert compiled({"pattern": pattern}).warnings == ()


def test_all_problems_are_reported_at_once() -> None:
    root = {
        "type": "objct",
        "properties": {"a": {"minLength": "x"}, "b": {"$ref": "gone.json"}},
        "$defs": {"c": {"$ref": "http://x.test/"}},
    }
    assert [problem.split(":")[0] for problem in refused(root)] == [
        "schema-invalid",
        "schema-invalid",
        "schema-not-readable",
        "schema-ref",
    ]


# What is odd in a schema.


OWN = "begin a keyword of your own with x-"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        pytest.param(
            {"requird": []}, [("/requird", "; did you mean `required`?")], id="typing-error"
        ),
        pytest.param({"a": 1}, [("/a", f"; {OWN}")], id="unknown"),
        pytest.param(
            {"properties": {"typ": {"typ": "x"}}},
            [("/properties/typ/typ", "; did you mean `type`?")],
            id="names-of-properties-are-free",
        ),
        pytest.param({"$defs": {"requird": {}}, "dependentSchemas": {"typ": {}}}, [], id="names"),
        pytest.param({"x-owner": {"requird": 1}, "$comment": "requird"}, [], id="own-keywords"),
        pytest.param(
            {
                "const": {"typ": 1},
                "enum": [{"typ": 1}],
                "default": {"typ": 1},
                "examples": [{"typ": 1}],
            },
            [],
            id="values-are-free",
        ),
        pytest.param(
            {"dependencies": {}, "additionalItems": True},
            [
                (
                    "/dependencies",
                    " in Draft 2020-12; write dependentRequired or dependentSchemas",
                ),
                ("/additionalItems", " in Draft 2020-12; write items, beside prefixItems"),
            ],
            id="older-drafts",
        ),
        pytest.param(
            {"allOf": [{"items": {"nullable": True}}]},
            [("/allOf/0/items/nullable", f"; {OWN}")],
            id="deep",
        ),
    ],
)
def test_a_keyword_that_a_validator_would_pass_over_is_a_warning(
    root: object, expected: list[tuple[str, str]]
) -> None:
    found = compiled(root).warnings
    assert [problem.code for problem in found] == ["schema-unknown-keyword"] * len(expected)
    assert [str(problem) for problem in found] == [
        f"order.json#{where}: `{where.split('/')[-1]}` has no effect{why}"
        for where, why in expected
    ]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("date_time", "did you mean `date-time`?"),
        ("xyzzy", f"allowed are: {', '.join(sorted(FORMATS))}"),
    ],
)
def test_a_format_that_is_not_known_is_a_warning(name: str, hint: str) -> None:
    [problem] = compiled({"format": name}).warnings
    text = f"order.json#/format: there is no format `{name}`, so it is not checked; {hint}"
    assert (problem.code, str(problem)) == ("schema-unknown-format", text)


# Events that somebody sends to do harm.


def seconds(found: EventSchema, event: object) -> float:
    """Processor time of one check."""
    begun = time.process_time()
    assert found.problems(event)
    return time.process_time() - begun


ALTERNATIVES = {
    "anyOf": [{"type": "array", "items": {"type": kind}} for kind in ("null", "string")]
}
TREE = {"type": "object", "properties": {"a": {"$ref": "#"}}, "additionalProperties": False}
TWICE = {"properties": {"a": {"$ref": "#"}}, "type": "object"}


def nested(depth: int) -> object:
    event: object = 1
    for _ in range(depth):
        event = {"a": event}
    return event


@pytest.mark.parametrize(
    ("root", "event"),
    [
        pytest.param({"items": {"type": "integer"}}, ["x"] * 250_000, id="many-errors"),
        pytest.param(ALTERNATIVES, [1] * 250_000, id="many-errors-of-alternatives"),
        pytest.param({"items": ALTERNATIVES}, [1] * 250_000, id="many-alternatives"),
        pytest.param(
            {"properties": {"a": {"type": "null"}}}, {"a": "x" * 1_000_000}, id="long-text"
        ),
        pytest.param({"additionalProperties": False}, {"x" * 1_000_000: 1}, id="long-key"),
        pytest.param(
            {"properties": {}, "additionalProperties": False},
            {str(i): 1 for i in range(100_000)},
            id="many-keys",
        ),
        pytest.param(
            {"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 500_000 + "!"}, id="pattern"
        ),
        pytest.param(
            {"properties": {"a": {"uniqueItems": True}}},
            {"a": [{"b": i} for i in range(50_000)] + [{"b": 1}]},
            id="unique",
        ),
        pytest.param(TREE, nested(120), id="deep"),
        pytest.param({"anyOf": [TWICE, TWICE]}, nested(120), id="deep-alternatives"),
        pytest.param({"allOf": [TWICE, TWICE]}, nested(120), id="deep-and-twice"),
        pytest.param(
            TWICE | {"patternProperties": {"a": {"$ref": "#"}}}, nested(120), id="deep-by-two-names"
        ),
        pytest.param(
            TWICE | {"minProperties": 2}, {"a": nested(100), "b": "x" * 900_000}, id="deep-and-long"
        ),
        pytest.param(
            {"items": {"allOf": [{"type": "null", "title": f"{i}"} for i in range(400)]}},
            ["x"] * 499,
            id="looked-at-often",
        ),
    ],
)
def test_no_event_takes_long_or_makes_much_text(root: object, event: object) -> None:
    found = schema(root)
    assert seconds(found, event) < 1.0
    assert sum(map(len, found.problems(event))) < 4000


def test_a_recursive_schema_is_explained_while_that_is_cheap() -> None:
    assert schema(TREE).problems({"a": {"a": {"b": 1}}}) == (
        "a.a: Additional properties are not allowed ('b' was unexpected)",
    )


def steps(count: int, step: Callable[[Any], object], last: object) -> dict[str, object]:
    """A schema of `count` steps, each of which is made from the reference to the next."""
    to = [{"$ref": f"#/$defs/s{i}"} for i in range(count + 1)]
    made: dict[str, object] = {f"s{i}": step(to[i + 1]) for i in range(count)}
    return {**to[0], "$defs": made | {f"s{count}": last}}


def tree_of(inner: object) -> object:
    return {"anyOf": [{"properties": {"a": inner}}], "unevaluatedProperties": False}


BY_WAY = {
    "$ref": "other.json",
    "$defs": {
        f"n{i}": {"$dynamicAnchor": f"n{i}", "$ref": f"other.json#/$defs/d{i}"} for i in range(31)
    },
}
"""Each step's reference means, by itself, a schema beside it; entered from here, one of these."""
BY_WAY_OTHER = {
    "allOf": [{"$dynamicRef": "#n0"}],
    "$defs": {
        f"{kind}{i}": schema
        for i in range(31)
        for kind, schema in (
            ("m", {"$dynamicAnchor": f"n{i}"}),
            ("d", {"allOf": [{"$dynamicRef": f"#n{min(i + 1, 30)}"}] * 2} if i < 30 else {}),
        )
    },
}


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(steps(30, lambda s: {"allOf": [s, s]}, {"type": "object"}), id="all-of"),
        pytest.param(steps(30, lambda s: {"anyOf": [s, s]}, {"type": "object"}), id="any-of"),
        pytest.param(steps(30, lambda s: {"oneOf": [s, s]}, {"type": "object"}), id="one-of"),
        pytest.param(steps(30, lambda s: {"$ref": s["$ref"], "not": s}, {}), id="ref-and-not"),
        pytest.param(steps(30, lambda s: {"if": s, "then": s}, {}), id="if-and-then"),
        pytest.param(
            steps(30, lambda s: {"dependentSchemas": {"a": s, "b": s}}, {}), id="dependent"
        ),
        pytest.param(
            steps(30, lambda s: {"allOf": [{"properties": {"a": s}}] * 2}, {}), id="one-property"
        ),
        pytest.param(
            steps(30, lambda s: {"properties": {"a": s}, "patternProperties": {"a": s}}, {}),
            id="by-name-and-by-pattern",
        ),
        pytest.param(steps(30, lambda s: {"items": s, "contains": s}, {}), id="items-contains"),
        pytest.param(steps(30, tree_of, {}), id="unevaluated"),
        pytest.param(
            steps(12, lambda s: {"allOf": [s, s]}, {"properties": {"a": {"$ref": "#/$defs/s0"}}}),
            id="in-a-circle",
        ),
        pytest.param({"allOf": [{}] * 500}, id="in-a-row"),
    ],
)
def test_a_schema_that_looks_at_one_value_too_often_is_refused(root: object) -> None:
    [problem] = refused(root)
    assert problem.startswith("schema-too-costly: order.json#")
    assert " of an event " in problem
    assert "at most 500 are allowed" in problem


def test_a_reference_that_means_something_else_by_way_is_counted_by_what_it_may_mean() -> None:
    [problem] = refused(BY_WAY, other=BY_WAY_OTHER)
    assert problem.startswith("schema-too-costly: other.json#/$defs/d")


def test_the_place_where_it_becomes_too_often_is_named() -> None:
    [problem] = refused(steps(9, lambda s: {"allOf": [s, s]}, {"type": "object"}))
    assert problem == (
        "schema-too-costly: order.json#/$defs/s1: this may look at one value of an event 511 "
        "times, at most 500 are allowed; let fewer subschemas and references apply to the same "
        "value"
    )


@pytest.mark.parametrize(
    "root",
    [
        pytest.param(steps(7, lambda s: {"allOf": [s, s]}, {"type": "integer"}), id="seven-steps"),
        pytest.param(
            steps(1000, lambda s: {"properties": {"a": s}, "additionalProperties": s}, {}),
            id="one-or-the-other",
        ),
        pytest.param(
            steps(1000, lambda s: {"prefixItems": [s, s], "items": s}, {}), id="this-item-or-that"
        ),
        pytest.param(
            steps(60, lambda s: {"allOf": [{}], "properties": {"a": s, "b": s}}, {}),
            id="two-properties",
        ),
        pytest.param(
            steps(60, lambda s: {"properties": {"a": s}, "unevaluatedProperties": False}, {}),
            id="nothing-unevaluated",
        ),
        pytest.param(
            {
                "oneOf": [
                    {"allOf": [{"$ref": "#/$defs/base"}, {"properties": {"kind": {"const": i}}}]}
                    for i in range(100)
                ],
                "$defs": {"base": {"required": ["kind"]}},
            },
            id="a-hundred-kinds-of-events",
        ),
    ],
)
def test_a_schema_that_looks_at_each_value_often_enough_is_taken(root: object) -> None:
    assert compiled(root).warnings == ()


def test_what_is_looked_at_very_often_is_refused_without_every_reason() -> None:
    root = steps(7, lambda s: {"allOf": [s, s]}, {"type": "integer"})
    often = schema({"items": {"$ref": "#/$defs/s0"}, "$defs": root["$defs"]})
    assert often.problems(["x"] * 10)[-1] == "and 1275 more"
    assert often.problems(["x"] * 100) == ('[0]: "x" is not of type "integer"',)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
ANYTHING = schema(
    {
        "required": ["a"],
        "maxProperties": 1,
        "additionalProperties": {"anyOf": [{"type": "null"}, {"items": {"type": "string"}}]},
    }
)


@given(JSON)
def test_whatever_is_sent_problems_are_short_lines(event: object) -> None:
    for problem in ANYTHING.problems(event):
        assert problem.isprintable()
        assert len(problem) < 700
