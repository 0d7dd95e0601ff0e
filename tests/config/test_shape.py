import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lambdo_router.config.compile.machine_config import _OWNED
from lambdo_router.config.compile.matches import SYSTEM_ATTRIBUTES
from lambdo_router.config.load import examine_routes
from lambdo_router.config.read.document import Path as DocumentPath
from lambdo_router.config.read.shape import (
    MACHINE_CONFIG_SCHEMA,
    ROUTES_SCHEMA,
    _quick_check,
    _validator,
    misspelt,
    schema_text,
    violations,
)
from lambdo_router.config.read.yaml_loader import parse_document, read_document
from lambdo_router.core.profile import SIZES
from lambdo_router.core.strict_json import WideNumber

ROUTES: dict[str, Any] = json.loads(schema_text(ROUTES_SCHEMA))
REPOSITORY = Path(__file__).parents[2]


def test_the_copy_for_editors_is_the_schema_that_is_checked() -> None:
    assert (REPOSITORY / "schemas/routes.schema.json").read_text("utf-8") == schema_text(
        ROUTES_SCHEMA
    )


@pytest.mark.parametrize("name", [ROUTES_SCHEMA, MACHINE_CONFIG_SCHEMA])
def test_the_schemas_are_schemas(name: str) -> None:
    Draft202012Validator.check_schema(json.loads(schema_text(name)))


def keys(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that a schema describes, with all that is said about it."""
    if isinstance(schema, list):
        for item in schema:
            yield from keys(item, path)
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            if value is False:
                continue
            yield f"{path}.{key}".lstrip("."), resolved(value)
            yield from keys(value, f"{path}.{key}")
        for key, value in schema.items():
            if key != "properties":
                yield from keys(value, key if key != "$defs" else "")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        schema = {**ROUTES["$defs"][name], **{k: v for k, v in schema.items() if k != "$ref"}}
    return schema


KEYS = dict(keys(ROUTES))


@pytest.mark.parametrize("key", KEYS)
def test_an_editor_can_explain_every_key(key: str) -> None:
    described = KEYS[key]

    assert described["title"]
    assert described["description"].endswith((".", ":"))
    assert described["examples"]


@pytest.mark.parametrize("key", KEYS)
def test_every_example_and_every_default_fits(key: str) -> None:
    validator = Draft202012Validator({**KEYS[key], "$defs": ROUTES["$defs"]})
    values = [
        *KEYS[key].get("examples", ()),
        *([KEYS[key]["default"]] if "default" in KEYS[key] else []),
    ]

    assert [error.message for value in values for error in validator.iter_errors(value)] == []


@pytest.mark.parametrize(
    "value", ["${VISIBILITY}", "${VISIBILITY:-60s}", "${MINUTES}m"], ids=["bare", "default", "part"]
)
def test_an_editor_takes_a_variable_for_a_duration(value: str) -> None:
    assert Draft202012Validator(ROUTES["$defs"]["duration"]).is_valid(value)


def test_an_editor_offers_what_the_compiler_takes() -> None:
    definitions = ROUTES["$defs"]
    sizes = definitions["size_name"]["anyOf"][0]["enum"]
    machine = definitions["machine"]["allOf"][0]["propertyNames"]["enum"]
    of_fly = json.loads(schema_text(MACHINE_CONFIG_SCHEMA))["properties"]
    owned = {path[0] for path in _OWNED if len(path) == 1}

    assert set(sizes) == set(SIZES)
    assert set(machine) == set(definitions["machine"]["properties"]) == set(of_fly) - owned
    assert set(keys_at("route.match.system")) == set(SYSTEM_ATTRIBUTES)


def keys_at(path: str) -> list[str]:
    return [key.removeprefix(f"{path}.") for key in KEYS if key.startswith(f"{path}.")]


CORPUS = sorted(REPOSITORY.glob("tests/routes/*valid/**/*.yaml"))
MEANING = {
    *("bad-format", "bad-pattern", "batch-never-fills", "conflicting-keys", "defined-twice"),
    *("duplicate-route", "extends-cycle", "fifo-queue", "malformed-variable"),
    *("memory-not-allowed", "missing-key", "never-matches", "no-app", "no-image", "only-in-root"),
    *("out-of-range", "same-queue", "unknown-profile", "unknown-queue"),
}
"""Codes of mistakes that no schema can see, or not everywhere; of all others it must see some."""


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_schema_and_compiler_accept_and_refuse_the_same_files(file: Path) -> None:
    document, problems = parse_document(file.read_bytes(), str(file))
    if document is None or problems:
        return  # an editor's YAML parser sees that
    errors = {d.code for d in examine_routes(file, {}, missing="warning").errors}
    refused = not Draft202012Validator(ROUTES).is_valid(doubles(document.value))

    if refused:
        assert errors
    if errors - MEANING and not problems_elsewhere(file):
        assert refused


def problems_elsewhere(file: Path) -> bool:
    """Whether what is wrong may be in another file that this one includes."""
    return any(d.file != str(file) for d in examine_routes(file, {}, missing="warning").errors)


def doubles(value: Any) -> Any:
    """The value with numbers as editors have them."""
    if isinstance(value, dict):
        return {key: doubles(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [doubles(inner) for inner in value]
    return float(value.text) if isinstance(value, WideNumber) else value


WORDS = st.sampled_from(sorted({key.rpartition(".")[2] for key in KEYS} | {"a", "1"}))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(JSON, st.sampled_from([ROUTES_SCHEMA, MACHINE_CONFIG_SCHEMA]))
def test_what_the_quick_check_passes_has_no_misfits(value: Any, schema: str) -> None:
    if _quick_check(schema)(value):
        assert [error.message for error in _validator(schema).iter_errors(value)] == []


def found(text: str) -> list[tuple[DocumentPath, str, str]]:
    document = read_document(text, "routes.yaml")
    return sorted(
        (misfit.path, misfit.code, f"{misfit.message}; {misfit.hint}")
        for misfit in violations(document.value, ROUTES_SCHEMA, document)
    )


RIGHT = "version: 1\nqueues: {q: {name: a}}\nroutes: [{name: r, queue: q, profile: {}}]\n"


LONG = "1.00000000000000000001"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            RIGHT.replace("profile:", f"match: {{body: {{a: [{LONG}]}}}}, profile:"), id="pattern"
        ),
        pytest.param(
            RIGHT
            + f"tests: [{{name: t, message: {{attributes: {{n: {LONG}}}}}, expect: {{route: r}}}}]",
            id="attribute",
        ),
        pytest.param(f"{RIGHT}defaults: {{batch_size: {LONG}}}", id="as-good-as-whole"),
    ],
)
def test_a_number_with_many_digits_is_a_number(text: str) -> None:
    assert found(text) == []


def test_a_number_with_many_digits_has_limits_as_others() -> None:
    [(_, code, said)] = found(RIGHT + "defaults: {batch_size: 5.50000000000000000001}")

    assert (code, said.partition(";")[0]) == (
        "wrong-type",
        "`batch_size` must be a whole number, not the number 5.50000000000000000001",
    )


def test_a_file_of_the_right_shape_has_no_misfits() -> None:
    assert found(RIGHT) == []


@pytest.mark.parametrize(
    ("text", "misfit"),
    [
        pytest.param(
            RIGHT + "profiles: {p: {size: {cpu_kind: shared, cpus: 1, memory_mb: 1}}}",
            (
                ("profiles", "p", "size", "memory_mb"),
                "out-of-range",
                "`memory_mb` is the number 1; allowed is 256 to 131072",
            ),
            id="the-alternative-is-told-by-its-type",
        ),
        pytest.param(
            RIGHT + f"defaults: {{region: {'9' * 70}}}",
            (
                ("defaults", "region"),
                "wrong-type",
                f'`region` must be text, not the number {"9" * 70}; quote it: "{"9" * 70}"',
            ),
            id="a-number-is-quoted-as-it-stands",
        ),
        pytest.param(
            RIGHT + f"defaults: {{command: {'x' * 70}}}",
            (
                ("defaults", "command"),
                "wrong-type",
                (
                    f'`command` must be a list or null, not the text "{"x" * 60}..."; '
                    "write program and arguments as a list, like [node, index.js]"
                ),
            ),
            id="a-long-text-is-cut",
        ),
    ],
)
def test_one_mistake_is_one_sentence(text: str, misfit: tuple[DocumentPath, str, str]) -> None:
    assert found(text) == [misfit]


def test_a_misspelt_key_is_not_missing_too() -> None:
    document = read_document(RIGHT.replace("profile:", "profle:").replace("name: r,", ""), "f")
    found = list(violations(document.value, ROUTES_SCHEMA, document))

    assert misspelt(found) == {("routes", 0, "profile")}


def test_every_unknown_key_is_a_mistake_of_its_own() -> None:
    assert [path for path, *_ in found(RIGHT + "a: 1\nb: 2\n")] == [("a",), ("b",)]
