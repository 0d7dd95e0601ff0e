"""
The keywords of Draft 2020-12, and what an author probably meant instead of an unknown one.

A validator ignores a keyword or a format that it does not know, so `requird` has no effect. Here
they become warnings. Violations of the draft's own metaschema are put into words here too.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_SUBSCHEMA = frozenset(
    {
        *("additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"),
        *("propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"),
    }
)
_LIST_OF_SUBSCHEMAS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAP_OF_SUBSCHEMAS = frozenset(
    {"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"}
)
_OTHER = frozenset(
    {
        *("$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$id", "$ref", "$schema"),
        *("$vocabulary", "const", "contentEncoding", "contentMediaType", "default"),
        *("dependentRequired", "deprecated", "description", "enum", "examples"),
        *("exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maxItems", "maxLength"),
        *("maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties"),
        *("minimum", "multipleOf", "pattern", "readOnly", "required", "title", "type"),
        *("uniqueItems", "writeOnly"),
    }
)
_KEYWORDS = _SUBSCHEMA | _LIST_OF_SUBSCHEMAS | _MAP_OF_SUBSCHEMAS | _OTHER
_REST = frozenset({"additionalProperties", "unevaluatedItems", "unevaluatedProperties"})
_SUCCESSORS = {
    "$recursiveAnchor": "$dynamicAnchor",
    "$recursiveRef": "$dynamicRef",
    "additionalItems": "items, beside prefixItems",
    "dependencies": "dependentRequired or dependentSchemas",
    "id": "$id",
}
FORMATS = frozenset(
    {
        *("date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname"),
        *("ipv4", "ipv6", "iri", "iri-reference", "json-pointer", "regex"),
        *("relative-json-pointer", "time", "uri", "uri-reference", "uri-template", "uuid"),
    }
)
"""The formats that jsonschema-rs checks."""
_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_LONGEST_SHOWN = 60
_LONGEST_MESSAGE = 300


def subschemas(schema: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield the subschemas directly below, each with its JSON pointer from this schema."""
    for keyword, value in schema.items():
        if keyword in _SUBSCHEMA:
            yield f"/{keyword}", value
        elif keyword in _LIST_OF_SUBSCHEMAS and isinstance(value, list):
            yield from ((f"/{keyword}/{index}", inner) for index, inner in enumerate(value))
        elif keyword in _MAP_OF_SUBSCHEMAS and isinstance(value, dict):
            yield from ((f"/{keyword}/{_token(name)}", inner) for name, inner in value.items())


def patterns(schema: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the regular expressions of this schema itself, each with its JSON pointer."""
    pattern, properties = schema.get("pattern"), schema.get("patternProperties")
    if isinstance(pattern, str):
        yield "/pattern", pattern
    if isinstance(properties, dict):
        yield from ((f"/patternProperties/{_token(name)}", name) for name in properties)


def repeats(schema: Mapping[str, object]) -> bool:
    """Return whether several subschemas, or this one and another, may look at one value."""
    lists = [schema.get(keyword) for keyword in ("allOf", "anyOf", "oneOf", "dependentSchemas")]
    same = sum(len(value) for value in lists if isinstance(value, list | dict))
    same += len(schema.keys() & {"$dynamicRef", "$ref", "else", "if", "not", "then"})
    patterned = schema.get("patternProperties")
    members = len(patterned) if isinstance(patterned, dict) else 0
    members += len(schema.keys() & {"properties"})
    items = bool(schema.keys() & {"items", "prefixItems"}) + ("contains" in schema)
    inside = members + items + len(schema.keys() & _REST)
    return same > 1 or members > 1 or items > 1 or bool(same and inside)


def oddities(schema: Mapping[str, object]) -> Iterator[tuple[str, str, str]]:
    """Yield what a validator would ignore: JSON pointer, code and message."""
    for keyword in schema:
        if keyword in _KEYWORDS or keyword.startswith("x-"):
            continue
        if keyword in _SUCCESSORS:
            why = f" in Draft 2020-12; write {_SUCCESSORS[keyword]}"
        else:
            meant = did_you_mean(keyword, _KEYWORDS)
            why = f"; {meant or 'begin a keyword of your own with x-'}"
        message = f"`{short(keyword)}` has no effect{why}"
        yield f"/{_token(keyword)}", "schema-unknown-keyword", message
    name = schema.get("format")
    if isinstance(name, str) and name not in FORMATS:
        allowed = f"allowed are: {', '.join(sorted(FORMATS))}"
        message = f"there is no format `{short(name)}`, so it is not checked"
        meant = did_you_mean(name, FORMATS)
        yield "/format", "schema-unknown-format", f"{message}; {meant or allowed}"


def against_metaschema(schema: object) -> Iterator[tuple[str, str]]:
    """Yield what Draft 2020-12 itself does not allow: JSON pointer and message."""
    from jsonschema import Draft202012Validator

    seen = set()
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema):
        # Every vocabulary asks anew for the same things.
        found = "".join(f"/{_token(step)}" for step in error.absolute_path), _sentence(error)
        if found not in seen:
            seen.add(found)
            yield found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question with the word probably meant; empty if there is none."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean `{near[0]}`?" if near else ""


def short(text: str, longest: int = _LONGEST_SHOWN) -> str:
    return text if len(text) <= longest else text[:longest] + "..."


def _sentence(error: Any) -> str:  # noqa: ANN401 - jsonschema's own class, imported where used
    keyword = error.absolute_path[-1] if error.absolute_path else None
    value = error.instance
    match keyword, value:
        case "type", str() | list():
            words = value if isinstance(value, list) else [value]
            wrong = [word for word in words if word not in _TYPES]
            if wrong and isinstance(wrong[0], str):
                meant = did_you_mean(wrong[0], _TYPES)
                message = f"there is no type `{short(wrong[0])}`; {meant} allowed are: "
                return message.replace("  ", " ") + ", ".join(_TYPES)
        case "items", list():
            return "a list of schemas is called prefixItems in Draft 2020-12; items takes one"
        case "required", bool():
            return "required takes the list of the names required, beside properties"
    return short(str(error.message), _LONGEST_MESSAGE)


def _token(step: str | int) -> str:
    """One step of a JSON pointer."""
    return str(step).replace("~", "~0").replace("/", "~1")
