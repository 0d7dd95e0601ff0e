"""docs/routes-file.md says of every key what the schema says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from routes_reference import LISTS, entry, rewritten

from lambdo_router.config.read.shape import ROUTES_SCHEMA, schema_text
from lambdo_router.config.read.yaml_loader import read_document

PAGE = (Path(__file__).parents[2] / "docs/routes-file.md").read_text("utf-8")
EXAMPLE = re.compile(r"`([a-zA-Z_]+: [^`]+)`")


def test_the_lists_of_keys_are_those_of_the_schema() -> None:
    assert rewritten(PAGE) == PAGE, "make pages"


def test_the_page_has_every_list() -> None:
    assert re.findall("<!-- keys of (.+) -->", PAGE) == list(LISTS)


def keys_of(schema: object) -> set[str]:
    """Every key that the schema describes, but for those of tests."""
    if isinstance(schema, list):
        return set().union(*map(keys_of, schema))
    if not isinstance(schema, dict):
        return set()
    own = {key for key, value in schema.get("properties", {}).items() if value is not False}
    return own.union(*(keys_of(value) for value in schema.values()))


def test_every_key_has_its_heading() -> None:
    schema: dict[str, Any] = json.loads(schema_text(ROUTES_SCHEMA))
    of_tests = [name for name in schema["$defs"] if name.startswith("test")]
    for name in of_tests:
        del schema["$defs"][name]

    assert set(re.findall("^#### `(.+)`$", PAGE, re.MULTILINE)) == keys_of(schema)


def test_a_list_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        rewritten("<!-- keys of nothing -->\n<!-- end of keys -->")


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        pytest.param("a", "5s", "a: 5s", id="text"),
        pytest.param("a", "iad,us,any", "a: iad,us,any", id="commas"),
        pytest.param("a", "${URL}", "a: ${URL}", id="variable"),
        pytest.param("a", "true", 'a: "true"', id="no-boolean"),
        pytest.param("a", "5", 'a: "5"', id="no-number"),
        pytest.param("a", "b: c", 'a: "b: c"', id="no-key"),
        pytest.param("a", ["x", "b, c", "${URL}"], 'a: [x, "b, c", "${URL}"]', id="in-a-list"),
        pytest.param("a", {"b": {"c": [1, None, True]}}, "a: {b: {c: [1, null, true]}}", id="deep"),
        pytest.param("a", [["node", "a b.js"]], "a: [[node, a b.js]]", id="spaces"),
        pytest.param("a", "", 'a: ""', id="empty"),
    ],
)
def test_an_example_is_yaml_on_one_line(key: str, value: object, line: str) -> None:
    assert entry(key, value) == line
    assert read_document(line, "").value == {key: value}


def examples() -> list[str]:
    lines = [line for line in PAGE.splitlines() if line.startswith("Value: ")]
    return [example for line in lines for example in EXAMPLE.findall(line)]


@pytest.mark.parametrize("example", sorted(set(examples())))
def test_every_example_is_yaml(example: str) -> None:
    [key] = re.findall(r"^[^:]+", example)

    assert isinstance(read_document(example, "").value, dict)
    assert f"#### `{key}`" in PAGE
