"""
Whether a document has the shape that its JSON Schema asks for.

The schema that editors read is the one that is checked here, so that both say the same. What
jsonschema finds is put into one sentence for each mistake, with a path that leads to a line: an
extra key is one mistake at that key, and where a schema offers alternatives, the one that the
author meant is told by its type. Three keywords of the schemas are for people, some editors show
them too: `errorMessage` says what to write instead, as do `patternErrorMessage` for a text of the
wrong form, and `emptyErrorMessage` for something empty.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.core.schemas import quick_check
from lambdo_router.core.strict_json import WideNumber

if TYPE_CHECKING:  # imported where something is wrong: it is slow to load
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
# They say nothing about validity, and jsonschema would look at each of them for every value.
_ANNOTATIONS = frozenset(
    {"$id", "$defs", "default", "deprecated", "description", "examples", "title"}
)
_FOR_EDITORS = "for editors"
"""How the `$comment` of a schema begins that is not checked here: the compiler says it better."""
_OF_A_TYPE = frozenset({"type", "const"})
"""What rules an alternative out as a whole: it is for another type of value."""
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """One place where a value has not the shape that its schema asks for."""

    path: Path
    code: str
    message: str
    hint: str = ""
    on: Literal["value", "key"] = "value"
    broken: Path | None = None
    """What is not fit to be looked at any further; None if everything there still is."""


def schema_text(name: str) -> str:
    """The JSON Schema of that file name in this package."""
    return resources.files("lambdo_router.config").joinpath(name).read_text("utf-8")


class Author(Protocol):
    """Who is asked what stands in the file, so that messages say it as its author does."""

    def describe(self, path: Path) -> str:
        """What people call the thing at `path`."""
        ...

    def shown(self, path: Path) -> str:
        """What stands at `path`, in words, with its variables not filled in."""
        ...

    def source(self, path: Path) -> str:
        """The scalar at `path`, letter by letter."""
        ...

    def holds_variable(self, path: Path) -> bool:
        """Whether the text at `path` has a variable in it."""
        ...

    def is_resolved(self, path: Path) -> bool:
        """False where a variable is not set: what the text will be is not known."""
        ...


def misfits(
    value: object, schema: str, author: Author, below: Path = ()
) -> Iterator[SchemaViolation]:
    """
    Every place where `value` has not the shape of the schema with that file name, in no order.

    `below` is where the value stands in the file; the paths of what is found begin with it. Texts
    that are not resolved may still become anything, so only their type is judged.
    """
    if _quick_check(schema)(value):
        return
    sentences = _Sentences(author, below)
    for error in _validator(schema).iter_errors(doubles(value)):
        yield from sentences.of(_Error.of(error))


@cache
def _quick_check(name: str) -> Callable[[object], bool]:
    """Most files are right, and that can be seen a hundred times as fast as what is wrong."""
    return quick_check(_expanded_schema(name))


def misspelt(found: Sequence[SchemaViolation]) -> set[Path]:
    """Keys that are likely written, only misspelt: that they are missing need not be said."""
    return {
        (*misfit.path[:-1], likely[1])
        for misfit in found
        if misfit.code == "unknown-key" and (likely := _DID_YOU_MEAN.search(misfit.hint))
    }


_DID_YOU_MEAN = re.compile("did you mean `([^`]+)`")


@cache
def _validator(name: str) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(_expanded_schema(name))


@cache
def _expanded_schema(name: str) -> dict[str, Any]:
    schema = json.loads(schema_text(name))
    return cast("dict[str, Any]", _expanded(schema, schema["$defs"]))


def _expanded(schema: object, definitions: Mapping[str, object], *, names: bool = False) -> object:
    """The schema with its references replaced by what they mean: twice as fast to check with."""
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


@dataclass(frozen=True, slots=True)
class _Error:
    """What jsonschema has found, with types."""

    keyword: str
    """The keyword of the schema that does not hold: `type`, `required`, ..."""
    wanted: Any
    """The keyword's value."""
    value: Any
    """What stands in the file."""
    schema: Mapping[str, Any]
    """The schema that the keyword is part of."""
    path: Path
    is_of_name: bool
    """Whether it is about a key of the mapping at `path`, which is then `value`."""
    missing: str
    """The key that is missing, of `required`."""
    alternatives: tuple[tuple["_Error", ...], ...]
    """What was found in each alternative of `anyOf`."""

    @classmethod
    def of(cls, error: "ValidationError") -> "_Error":
        branches: dict[Any, list[_Error]] = {}
        for inner in error.context or ():
            branches.setdefault(inner.relative_schema_path[0], []).append(cls.of(inner))
        wanted = cast("Any", error.validator_value)
        keyword = str(error.validator)
        return cls(
            keyword=keyword,
            wanted=wanted,
            value=cast("Any", error.instance),
            schema=cast("Mapping[str, Any]", error.schema),
            path=tuple(error.absolute_path),
            is_of_name="propertyNames" in error.absolute_schema_path,
            # jsonschema reports each missing key by itself, and names it in its message only.
            missing=next((name for name in wanted if error.message.startswith(repr(name))), "")
            if keyword == "required"
            else "",
            alternatives=tuple(map(tuple, branches.values())),
        )

    @property
    def advice(self) -> str:
        """What the schema tells people to write instead; empty if nothing."""
        key = "patternErrorMessage" if self.keyword == "pattern" else "errorMessage"
        return str(self.schema.get(key) or self.schema.get("errorMessage", ""))


@dataclass(frozen=True, slots=True)
class _Sentences:
    """Puts what jsonschema found into words."""

    author: Author
    below: Path

    def of(self, error: _Error) -> Iterator[SchemaViolation]:
        path = (*self.below, *error.path)
        if error.is_of_name:
            yield self._name(path, error)
            return
        if _is_about_text(error) and not self.author.is_resolved(path):
            return
        several = {
            "additionalProperties": self._unknown_keys,
            "anyOf": self._alternatives,
            "oneOf": self._exactly_one,
            "uniqueItems": self._duplicates,
        }
        single = {
            "required": self._missing_key,
            "type": self._type,
            "enum": self._choice,
            "const": self._choice,
            "minItems": self._empty,
            "maxItems": self._too_many,
            "minProperties": self._empty,
            "minLength": self._empty,
            "pattern": self._format,
        }
        keyword = error.keyword
        if keyword in several:
            yield from several[keyword](path, error)
        else:
            yield single.get(keyword, self._range)(path, error)

    def _unknown_keys(self, path: Path, error: _Error) -> Iterator[SchemaViolation]:
        known = error.schema["properties"]
        for key in error.value:
            if key not in known:
                at = (*path, key)
                what = f"unknown key `{key}` in {self.author.describe(path)}"
                home = "" if self.below else _home(key, known)
                hint = f"{home}{closest(key, known)}"
                yield SchemaViolation(at, "unknown-key", what, hint, "key", at)

    def _missing_key(self, path: Path, error: _Error) -> SchemaViolation:
        key = error.missing
        what = f"{self.author.describe(path)} has no `{key}`"
        return SchemaViolation(path, "missing-key", what, "it must be written", "key", (*path, key))

    def _alternatives(self, path: Path, error: _Error) -> Iterator[SchemaViolation]:
        """Go on with the alternative of the value's type; without one, say what is allowed."""
        root = len(error.path)
        meant = [
            errors
            for errors in error.alternatives
            if not any(len(one.path) == root and one.keyword in _OF_A_TYPE for one in errors)
        ]
        if len(meant) == 1:
            for inner in meant[0]:
                yield from self.of(inner)
            return
        what = f"{self.author.describe(path)} is {self.author.shown(path)}"
        yield SchemaViolation(path, "wrong-type", what, error.advice, broken=path)

    def _exactly_one(self, path: Path, error: _Error) -> Iterator[SchemaViolation]:
        if not isinstance(error.value, dict):
            return  # its type is wrong, which is reported already
        keys = [key for branch in error.wanted for key in branch.get("required", ())]
        present = [f"`{key}`" for key in keys if key in error.value]
        names = ", ".join(f"`{key}`" for key in keys)
        has = f"has {' and '.join(present)}" if present else f"has none of {names}"
        what = f"{self.author.describe(path)} {has}"
        code = "conflicting-keys" if present else "missing-key"
        yield SchemaViolation(path, code, what, error.advice, "key")

    def _duplicates(self, path: Path, error: _Error) -> Iterator[SchemaViolation]:
        for index, item in enumerate(error.value):
            if item in error.value[:index]:
                at = (*path, index)
                what = f"{self.author.describe(path)} has {self.author.shown(at)} twice"
                yield SchemaViolation(at, "duplicate-item", what, "remove one of them")

    def _type(self, path: Path, error: _Error) -> SchemaViolation:
        wanted = error.wanted
        names = [wanted] if isinstance(wanted, str) else wanted
        allowed = " or ".join(_TYPES[name] for name in names)
        what = f"{self.author.describe(path)} must be {allowed}, not {self.author.shown(path)}"
        return SchemaViolation(
            path, "wrong-type", what, self._retyped(path, names, error), broken=path
        )

    def _retyped(self, path: Path, wanted: Sequence[str], error: _Error) -> str:
        """How to write what the author seems to mean as the type that is wanted."""
        instance = error.value
        if instance is None:
            plain = wanted == ["string"] and not error.schema.keys() & {"pattern", "minLength"}
            value = 'a value ("" for an empty text)' if plain else "a value"
            return f"write {value}, or remove the key"
        if "string" in wanted and isinstance(instance, bool | int | float):
            text = self.author.source(path)
            if re.search(error.schema.get("pattern", ""), text) is None:
                return str(error.schema.get("patternErrorMessage", ""))
            return f"quote it: {json.dumps(text)}"
        if isinstance(instance, str) and not {"object", "array"} & set(wanted):
            if self.author.holds_variable(path):
                return "a variable always gives text; write the value itself"
            if _is_json_scalar(instance):
                return "write it without quotes"
        return error.advice

    def _choice(self, path: Path, error: _Error) -> SchemaViolation:
        instance, value = error.value, error.wanted
        allowed = [value] if error.keyword == "const" else value
        what = f"{self.author.describe(path)} is {self.author.shown(path)}"
        hint = error.advice
        if isinstance(instance, str) and instance in map(_plain, allowed):
            hint = "write it without quotes"
        if not hint and isinstance(instance, str) and all(isinstance(one, str) for one in allowed):
            hint = closest(instance, allowed)
        return SchemaViolation(
            path,
            "not-allowed",
            what,
            hint or "allowed are: " + ", ".join(map(_plain, allowed)),
            broken=path,
        )

    def _empty(self, path: Path, error: _Error) -> SchemaViolation:
        what = f"{self.author.describe(path)} is empty"
        hint = error.schema.get("emptyErrorMessage", "write a value, or remove the key")
        return SchemaViolation(path, "empty", what, hint, broken=path)

    def _too_many(self, path: Path, error: _Error) -> SchemaViolation:
        what = f"{self.author.describe(path)} has {len(error.value)} items"
        return SchemaViolation(path, "out-of-range", what, f"allowed are at most {error.wanted}")

    def _format(self, path: Path, error: _Error) -> SchemaViolation:
        what = f"{self.author.describe(path)} is {self.author.shown(path)}"
        return SchemaViolation(path, "bad-format", what, error.advice, broken=path)

    def _range(self, path: Path, error: _Error) -> SchemaViolation:
        low, high = error.schema.get("minimum"), error.schema.get("maximum")
        what = f"{self.author.describe(path)} is {self.author.shown(path)}"
        if low is None:
            hint = f"allowed is more than {error.schema['exclusiveMinimum']}, and at most {high}"
        else:
            hint = f"allowed is {low} to {high}"
        return SchemaViolation(path, "out-of-range", what, hint, broken=path)

    def _name(self, path: Path, error: _Error) -> SchemaViolation:
        name = error.value
        what = f"{self.author.describe(path)} has the key {json.dumps(name, ensure_ascii=False)}"
        at = (*path, name)
        return SchemaViolation(at, "bad-name", what, error.advice, "key", at)


def doubles(value: object) -> object:
    """The value with its numbers as everybody's JSON has them: digits beyond a double's are cut."""
    match value:
        case WideNumber(text):
            return float(text)
        case dict():
            return {key: doubles(inner) for key, inner in value.items()}
        case list():
            return [doubles(item) for item in value]
        case _:
            return value


def found(value: object) -> str:
    """What a value is, in words: `the number 5`, `the text "x"`, `a list`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return _plain(value)
        case int() | float() | WideNumber():
            return f"the number {_plain(value)}"
        case str():
            short = value if len(value) <= _LONGEST_SHOWN else value[:_LONGEST_SHOWN] + "..."
            return f"the text {json.dumps(short, ensure_ascii=False)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _plain(value: object) -> str:
    if isinstance(value, WideNumber):
        return value.text
    return value if isinstance(value, str) else json.dumps(value)


def _home(key: str, known: Mapping[str, Any]) -> str:
    """Where a key of the routes file belongs: below one of those known here, or elsewhere."""
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


def _is_about_text(error: _Error) -> bool:
    """Whether the error would depend on what an unresolved variable stands for."""
    if error.keyword == "enum":
        return any(isinstance(one, str) for one in error.wanted)
    return error.keyword in {"pattern", "minLength"}


def _is_json_scalar(text: str) -> bool:
    try:
        return not isinstance(json.loads(text), str | list | dict)
    except ValueError:
        return False


def value_at(value: object, path: Path) -> object:
    """What stands at `path` below `value`; LookupError or TypeError if nothing does."""
    inside = cast("Any", value)
    for step in path:
        inside = inside[step]
    return cast("object", inside)
