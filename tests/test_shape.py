import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lambdo_router.config.document import Path as DocumentPath
from lambdo_router.config.document import read_document
from lambdo_router.config.draft import Draft
from lambdo_router.config.shape import MACHINE_CONFIG_SCHEMA, ROUTES_SCHEMA, misfits, schema_text

ROUTES: dict[str, Any] = json.loads(schema_text(ROUTES_SCHEMA))
REPOSITORY = Path(__file__).parents[1]


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
    if key != "routes":
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


def found(text: str) -> list[tuple[DocumentPath, str, str]]:
    document = read_document(text, "routes.yaml")
    draft = Draft(document, document)
    return sorted(
        (misfit.path, misfit.code, f"{misfit.message}; {misfit.hint}")
        for misfit in misfits(document.value, ROUTES_SCHEMA, draft)
    )


RIGHT = "version: 1\nqueues: {q: {name: a}}\nroutes: [{name: r, queue: q, profile: {}}]\n"


def test_a_file_of_the_right_shape_has_no_misfits() -> None:
    assert found(RIGHT) == []


@pytest.mark.parametrize(
    ("text", "misfit"),
    [
        pytest.param(
            RIGHT + "profiles: {p: {size: 5}}",
            (
                ("profiles", "p", "size"),
                "wrong-type",
                (
                    "`size` is the number 5; "
                    "write a size such as performance-2x, or {cpu_kind, cpus, memory_mb}"
                ),
            ),
            id="no-alternative-is-meant",
        ),
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
            RIGHT + "defaults: {env: {a-b: c}}",
            (
                ("defaults", "env", "a-b"),
                "bad-name",
                (
                    '`env` has the key "a-b"; the name of a variable is letters, digits and `_`, '
                    "and does not begin with a digit"
                ),
            ),
            id="a-key-is-pointed-at",
        ),
        pytest.param(
            RIGHT + "defaults: {batch_size: '${N}'}",
            (
                ("defaults", "batch_size"),
                "wrong-type",
                (
                    '`batch_size` must be a whole number, not the text "${N}"; '
                    "a variable always gives text; write the value itself"
                ),
            ),
            id="a-variable-is-no-number",
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


def test_every_unknown_key_is_a_mistake_of_its_own() -> None:
    assert [path for path, *_ in found(RIGHT + "a: 1\nb: 2\n")] == [("a",), ("b",)]
