"""
Checks a document against its JSON Schema: the one that editors use.

Each mistake becomes one sentence, with a path that leads to its place. An extra key is one mistake
at that key; of several alternatives, the value's type tells which one the author meant. Three
keywords of the schemas are for people, and some editors show them too: `errorMessage` says what to
write instead, `patternErrorMessage` the same for a text of the wrong form, and `emptyErrorMessage`
for something empty.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, cast

from lambdo_router.config.diagnostics import Diagnostic, closest
from lambdo_router.config.read.document import Document, On, Path, doubles, plain_text
from lambdo_router.core.schemas import quick_check

if TYPE_CHECKING:  # imported only when something is wrong: it is slow to load
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

ROUTES_SCHEMA = "routes.schema.json"
MACHINE_CONFIG_SCHEMA = "machine_config.schema.json"

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
# They do not affect validity, and jsonschema would look at each of them for every value.
_ANNOTATIONS = frozenset(
    {"$id", "$defs", "default", "deprecated", "description", "examples", "title"}
)
_FOR_EDITORS = "for editors"
"""The beginning of the `$comment` of a schema that is not checked here: the compiler does it."""
_DID_YOU_MEAN = re.compile("did you mean `([^`]+)`")


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """A value that violates its schema."""

    path: Path
    code: str
    message: str
    hint: str = ""
    on: On = "value"
    broken: Path | None = None
    """What must not be read any further; None if everything there is usable."""

    def diagnostic(self, document: Document) -> Diagnostic:
        """Return it as a diagnostic at its place."""
        return document.diagnostic(self.path, self.code, self.message, on=self.on, hint=self.hint)


@cache
def schema_text(name: str) -> str:
    """Return the JSON Schema with that file name in this package."""
    return resources.files("lambdo_router.config").joinpath(name).read_text("utf-8")


def violations(
    value: object, schema: str, document: Document, below: Path = ()
) -> Iterator[SchemaViolation]:
    """
    Yield every violation of the schema with that file name, in no particular order.

    `below` is where the value is in the document; the paths of violations begin with it. Texts with
    an unresolved variable may still become anything, so only their type is checked.
    """
    if _quick_check(schema)(value):
        return
    explainer = _Explainer(document, below)
    for error in _validator(schema).iter_errors(doubles(value)):
        yield from explainer.explain(error)


@cache
def _quick_check(name: str) -> Callable[[object], bool]:
    """Most files are valid, and that can be seen a hundred times as fast as what is wrong."""
    return quick_check(_expanded_schema(name))


def misspelt(found: Sequence[SchemaViolation]) -> set[Path]:
    """Return keys that are probably there but misspelt: they need not be reported as missing."""
    return {
        (*violation.path[:-1], likely[1])
        for violation in found
        if violation.code == "unknown-key" and (likely := _DID_YOU_MEAN.search(violation.hint))
    }


@cache
def _validator(name: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(_expanded_schema(name))


@cache
def _expanded_schema(name: str) -> dict[str, Any]:
    schema = json.loads(schema_text(name))
    return cast("dict[str, Any]", _expanded(schema, schema["$defs"]))


def _expanded(schema: object, definitions: Mapping[str, object], *, names: bool = False) -> object:
    """Replace references by what they mean, which makes checking twice as fast."""
    if isinstance(schema, list):
        return [_expanded(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    while not names and "$ref" in schema:
        meant = cast("dict[str, object]", definitions[schema["$ref"].removeprefix("#/$defs/")])
        schema = {**meant, **{key: value for key, value in schema.items() if key != "$ref"}}
    if not names and str(schema.get("$comment", "")).startswith(_FOR_EDITORS):
        return True
    return {
        key: _expanded(value, definitions, names=key == "properties")
        for key, value in schema.items()
        if names or key not in _ANNOTATIONS
    }


class _Explainer:
    """Puts what jsonschema found into sentences."""

    def __init__(self, document: Document, below: Path) -> None:
        self._document = document
        self._below = below

    def explain(self, error: "ValidationError") -> Iterator[SchemaViolation]:
        path, keyword = (*self._below, *error.absolute_path), str(error.validator)
        if "propertyNames" in error.absolute_schema_path:
            yield self._bad_name(path, error)
        elif _is_about_text(error) and path in self._document.unresolved:
            return
        elif keyword in self._SEVERAL:
            yield from self._SEVERAL[keyword](self, path, error)
        else:
            yield self._SINGLE.get(keyword, _Explainer._range)(self, path, error)

    def _is(self, path: Path) -> str:
        return f"{self._document.describe(path)} is {self._document.shown(path)}"

    def _unknown_keys(self, path: Path, error: "ValidationError") -> Iterator[SchemaViolation]:
        known = _schema_of(error)["properties"]
        for key in cast("dict[str, object]", error.instance):
            if key not in known:
                at = (*path, key)
                what = f"unknown key `{key}` in {self._document.describe(path)}"
                home = "" if self._below else _home(key, known)
                hint = f"{home}{closest(key, known)}"
                yield SchemaViolation(at, "unknown-key", what, hint, "key", at)

    def _missing_key(self, path: Path, error: "ValidationError") -> SchemaViolation:
        # jsonschema reports each missing key by itself, and names it in its message only.
        wanted = cast("list[str]", error.validator_value)
        key = next(name for name in wanted if error.message.startswith(repr(name)))
        what = f"{self._document.describe(path)} has no `{key}`"
        return SchemaViolation(path, "missing-key", what, "it must be written", "key", (*path, key))

    def _alternatives(self, path: Path, error: "ValidationError") -> Iterator[SchemaViolation]:
        """Explain the alternative of the value's type; without one, say what is allowed."""
        branches: dict[object, list[ValidationError]] = {}
        for inner in error.context or ():
            branches.setdefault(inner.relative_schema_path[0], []).append(inner)
        meant = [
            errors
            for errors in branches.values()
            if not any(
                not one.relative_path and one.validator in ("type", "const") for one in errors
            )
        ]
        if len(meant) == 1:
            for inner in meant[0]:
                yield from self.explain(inner)
        else:
            yield SchemaViolation(path, "wrong-type", self._is(path), _advice(error), broken=path)

    def _exactly_one(self, path: Path, error: "ValidationError") -> Iterator[SchemaViolation]:
        if not isinstance(error.instance, dict):
            return  # its type is wrong, which is reported already
        branches = cast("list[dict[str, Any]]", error.validator_value)
        keys = [key for branch in branches for key in branch.get("required", ())]
        present = [f"`{key}`" for key in keys if key in error.instance]
        names = ", ".join(f"`{key}`" for key in keys)
        has = f"has {' and '.join(present)}" if present else f"has none of {names}"
        what = f"{self._document.describe(path)} {has}"
        code = "conflicting-keys" if present else "missing-key"
        yield SchemaViolation(path, code, what, _advice(error), "key")

    def _duplicates(self, path: Path, error: "ValidationError") -> Iterator[SchemaViolation]:
        items = cast("list[object]", error.instance)
        for index, item in enumerate(items):
            if item in items[:index]:
                at = (*path, index)
                what = f"{self._document.describe(path)} has {self._document.shown(at)} twice"
                yield SchemaViolation(at, "duplicate-item", what, "remove one of them")

    def _type(self, path: Path, error: "ValidationError") -> SchemaViolation:
        wanted = cast("str | list[str]", error.validator_value)
        names = [wanted] if isinstance(wanted, str) else wanted
        allowed = " or ".join(_TYPES[name] for name in names)
        document = self._document
        what = f"{document.describe(path)} must be {allowed}, not {document.shown(path)}"
        hint = self._retyped(path, names, error)
        return SchemaViolation(path, "wrong-type", what, hint, broken=path)

    def _retyped(self, path: Path, wanted: Sequence[str], error: "ValidationError") -> str:
        """Say how to write what the author seems to mean as the type that is wanted."""
        instance, schema = error.instance, _schema_of(error)
        if instance is None:
            is_any_text = wanted == ["string"] and not schema.keys() & {"pattern", "minLength"}
            value = 'a value ("" for an empty text)' if is_any_text else "a value"
            return f"write {value}, or remove the key"
        if "string" in wanted and isinstance(instance, bool | int | float):
            text = self._document.source(path)
            if re.search(schema.get("pattern", ""), text) is None:
                return str(schema.get("patternErrorMessage", ""))
            return f"quote it: {json.dumps(text)}"
        if isinstance(instance, str) and not {"object", "array"} & set(wanted):
            if self._document.holds_variable(path):
                return "a variable is always text; write the value itself"
            if _is_json_scalar(instance):
                return "write it without quotes"
        return _advice(error)

    def _choice(self, path: Path, error: "ValidationError") -> SchemaViolation:
        instance, value = error.instance, cast("Any", error.validator_value)
        allowed = [value] if error.validator == "const" else value
        hint = _advice(error)
        if isinstance(instance, str) and instance in map(plain_text, allowed):
            hint = "write it without quotes"
        if not hint and isinstance(instance, str) and all(isinstance(one, str) for one in allowed):
            hint = closest(instance, allowed)
        hint = hint or "allowed are: " + ", ".join(map(plain_text, allowed))
        return SchemaViolation(path, "not-allowed", self._is(path), hint, broken=path)

    def _empty(self, path: Path, error: "ValidationError") -> SchemaViolation:
        what = f"{self._document.describe(path)} is empty"
        hint = _schema_of(error).get("emptyErrorMessage", "write a value, or remove the key")
        return SchemaViolation(path, "empty", what, hint, broken=path)

    def _too_many(self, path: Path, error: "ValidationError") -> SchemaViolation:
        items = cast("list[object]", error.instance)
        what = f"{self._document.describe(path)} has {len(items)} items"
        hint = f"allowed are at most {error.validator_value}"
        return SchemaViolation(path, "out-of-range", what, hint)

    def _format(self, path: Path, error: "ValidationError") -> SchemaViolation:
        return SchemaViolation(path, "bad-format", self._is(path), _advice(error), broken=path)

    def _range(self, path: Path, error: "ValidationError") -> SchemaViolation:
        schema = _schema_of(error)
        low, high = schema.get("minimum"), schema.get("maximum")
        hint = f"allowed is {low} to {high}"
        if low is None:
            hint = f"allowed is more than {schema['exclusiveMinimum']}, and at most {high}"
        return SchemaViolation(path, "out-of-range", self._is(path), hint, broken=path)

    def _bad_name(self, path: Path, error: "ValidationError") -> SchemaViolation:
        name = cast("str", error.instance)
        key = json.dumps(name, ensure_ascii=False)
        what, at = f"{self._document.describe(path)} has the key {key}", (*path, name)
        return SchemaViolation(at, "bad-name", what, _advice(error), "key", at)

    # Methods of the class: an explainer that held its own would never be freed, nor its document.
    _SEVERAL: ClassVar[
        Mapping[str, Callable[["_Explainer", Path, "ValidationError"], Iterator[SchemaViolation]]]
    ] = {
        "additionalProperties": _unknown_keys,
        "anyOf": _alternatives,
        "oneOf": _exactly_one,
        "uniqueItems": _duplicates,
    }
    _SINGLE: ClassVar[
        Mapping[str, Callable[["_Explainer", Path, "ValidationError"], SchemaViolation]]
    ] = {
        "required": _missing_key,
        "type": _type,
        "enum": _choice,
        "const": _choice,
        "minItems": _empty,
        "maxItems": _too_many,
        "minProperties": _empty,
        "minLength": _empty,
        "pattern": _format,
    }


def _schema_of(error: "ValidationError") -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", error.schema)


def _advice(error: "ValidationError") -> str:
    """Return what the schema tells people to write instead, if anything."""
    schema = _schema_of(error)
    key = "patternErrorMessage" if error.validator == "pattern" else "errorMessage"
    return str(schema.get(key) or schema.get("errorMessage", ""))


def _is_about_text(error: "ValidationError") -> bool:
    """Return whether the error depends on what an unresolved variable stands for."""
    if error.validator == "enum":
        return any(isinstance(one, str) for one in cast("list[object]", error.validator_value))
    return error.validator in {"pattern", "minLength"}


def _home(key: str, known: Mapping[str, Any]) -> str:
    """Say where a key of the routes file belongs: below one of the known keys, or elsewhere."""
    homes = [
        f"`{name}`"
        for name, schema in known.items()
        if any(key in one.get("properties", ()) for one in (schema, *schema.get("anyOf", ())))
    ]
    if not homes:
        definitions = json.loads(schema_text(ROUTES_SCHEMA))["$defs"]
        parts = ("queue", "profile", "route")
        homes = [f"a {part}" for part in parts if key in definitions[part]["properties"]]
    return f"it is a key of {' or of '.join(homes)}; " if homes else ""


def _is_json_scalar(text: str) -> bool:
    try:
        return not isinstance(json.loads(text), str | list | dict)
    except ValueError:
        return False
