"""
Write the reference of the routes file's keys from its JSON Schema.

docs/routes-file.md is prose with lists of keys. Each list is between two comments and is generated
here, so that the page describes what `validate` checks. `make pages` updates them.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lambdo_router.config.read.shape import ROUTES_SCHEMA, schema_text
from lambdo_router.config.read.yaml_loader import parse_document

Schema = Mapping[str, Any]

LISTS: Final[Mapping[str, str]] = {
    "the file": "",
    "a queue": "queue",
    "a profile": "profile",
    "a size": "size/anyOf/1",
    "the machine config": "machine",
    "a route": "route",
    "match": "route/properties/match",
    "the system attributes": "route/properties/match/properties/system",
    "overrides": "route/properties/overrides",
}
"""Path of each list's keys in the schema's `$defs`; empty for the root of the schema."""

_LIST = re.compile(r"<!-- keys of (?P<name>.+?) -->\n.*?<!-- end of keys -->", re.DOTALL)
_NAMED: Final[Mapping[str, str]] = {
    "bytes": "size in bytes",
    "duration": "duration",
    "name": "name",
    "pattern": "pattern",
    "text": "text",
}
"""Words for the small definitions of the schema."""
_TYPES: Final[Mapping[str, str]] = {
    "array": "list",
    "boolean": "true or false",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "mapping",
    "string": "text",
}
_READABLE = re.compile(r"[A-Za-z0-9_./$][^#\"'\n]*")
"""Text that may go without quotes, if YAML agrees."""
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@*> -]*")
"""Text that may go without quotes inside brackets and braces."""


def rewritten(page: str) -> str:
    """Return the page with its lists of keys updated. KeyError for an unknown list."""
    return _LIST.sub(lambda found: _list(found["name"]), page)


def entry(key: str, value: object) -> str:
    """Return a key and its value as YAML on one line."""
    if isinstance(value, str) and _READABLE.fullmatch(value):
        line = f"{key}: {value}"
        if _says(line, {key: value}):
            return line
    return f"{key}: {_flow(value)}"


def _flow(value: object) -> str:
    """Return a value as YAML inside brackets and braces."""
    match value:
        case str():
            plain = _PLAIN.fullmatch(value) and _says(f"[{value}]", [value])
            return value if plain else json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case dict():
            return (
                f"{{{', '.join(f'{_flow(key)}: {_flow(inner)}' for key, inner in value.items())}}}"
            )
        case _:
            return json.dumps(value)


def _says(text: str, value: object) -> bool:
    """Return whether this YAML has exactly this value."""
    document, problems = parse_document(text, "")
    return document is not None and not problems and document.value == value


def _list(name: str) -> str:
    schema = _at(LISTS[name])
    untyped = "pattern" if name == "the system attributes" else "see Fly's Machines API"
    keys = "\n\n".join(
        _key(key, described, untyped, required=key in schema.get("required", ()))
        for key, described in schema["properties"].items()
    )
    return f"<!-- keys of {name} -->\n\n{keys}\n\n<!-- end of keys -->"


def _root() -> dict[str, Any]:
    root: dict[str, Any] = json.loads(schema_text(ROUTES_SCHEMA))
    return root


def _at(path: str) -> Schema:
    schema: Any = _root()["$defs"] if path else _root()
    for step in path.split("/") if path else ():
        schema = schema[int(step) if isinstance(schema, list) else step]
    found: Schema = schema
    return found


def _key(key: str, written: Schema, untyped: str, *, required: bool) -> str:
    """Return a heading, the meaning of the key, and a line about its value."""
    schema = _resolved(written)
    facts = f"Value: {_kind(written) or untyped}." + (" Required." if required else "")
    if "default" in schema:
        facts += f" Default: `{entry(key, schema['default'])}`."
    examples = [f"`{entry(key, example)}`" for example in schema.get("examples", ())]
    if examples:
        facts += f" For example {' or '.join(examples)}."
    return f"#### `{key}`\n\n{schema['title']}. {schema['description']}\n\n{facts}"


def _resolved(schema: Schema) -> Schema:
    while "$ref" in schema:
        meant = _at(schema["$ref"].removeprefix("#/$defs/"))
        schema = {**meant, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _kind(written: Schema) -> str:
    """Describe the allowed values in words; empty if the schema does not restrict them."""
    schema = written
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in _NAMED:
            return _NAMED[name]
        schema = _at(name)
    match schema:
        case {"const": value}:
            kind = f"`{_flow(value)}`"
        case {"enum": values}:
            kind = _either(f"`{_flow(value)}`" for value in values)
        case {"anyOf": alternatives}:
            kind = _either(map(_kind, alternatives))
        case {"type": "array", "items": items}:
            kind = f"list of {_plural(_kind(items))}"
        case {"minimum": low, "maximum": high}:
            kind = f"whole number, {low} to {high}"
        case {"type": list(types)}:
            kind = _either(_TYPES[name] for name in types)
        case _:
            kind = _TYPES.get(str(schema.get("type")), "")
    return kind


def _either(words: Iterator[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _plural(kind: str) -> str:
    if kind.startswith("list of"):
        return f"lists of{kind.removeprefix('list of')}"
    return {"text": "texts", "name": "names", "mapping": "mappings"}.get(kind, kind)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        file = Path(argument)
        file.write_text(rewritten(file.read_text("utf-8")), "utf-8")
