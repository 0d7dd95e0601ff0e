"""
The JSON Schemas of events: compiled once, then used to check each event.

A sender chooses the event, so a check must stay fast and its messages short whatever it is given.
jsonschema-rs runs regular expressions on an engine whose time is linear in the text, and a schema
with one that needs a backtracking engine is refused. A valid event costs microseconds. For an
invalid one the first few problems are reported, unless it is so large that finding them takes long.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from lambdo_router.core.schemas.keywords import short
from lambdo_router.core.schemas.sources import (
    SchemaError,
    SchemaProblem,
    SchemaRegex,
    SchemaSources,
)
from lambdo_router.core.strict_json import plain

__all__ = [
    "CompiledSchema",
    "EventSchema",
    "SchemaError",
    "SchemaProblem",
    "compile_schema",
    "quick_check",
]


@dataclass(frozen=True, slots=True)
class EventSchema:
    """A compiled schema. Two are equal when the contents of their files are."""

    digest: str
    _validator: Any = field(compare=False, repr=False)
    _has_alternatives: bool = field(compare=False, repr=False)
    _is_explosive: bool = field(compare=False, repr=False)
    _visits: int = field(compare=False, repr=False)

    def problems(self, value: object) -> tuple[str, ...]:
        """
        Return what is wrong with an event, as `parse_json` reads it; empty if it is valid.

        That is at most `MAX_PROBLEMS` sentences, each beginning with the path of the value, then
        the number of others. They quote only a few dozen characters of the event, on one line.
        """
        value = plain(value)
        if self._validator.is_valid(value):
            return ()
        return tuple(_sentences(self._errors(value), value)) or (_NO_DETAIL,)

    def _errors(self, value: object) -> list[Any]:
        """Return as many errors of jsonschema-rs as can be found quickly."""
        from jsonschema_rs import ValidationError

        # jsonschema-rs makes all errors, also those of every alternative, before it yields the
        # first, and looks at a value as often as schemas apply to it.
        if self._is_explosive:
            return []
        if _is_small(value, min(_SMALL_COUNT, _MOST_ERRORS // self._visits)):
            return list(self._validator.iter_errors(value))
        if self._has_alternatives:
            return []
        try:
            self._validator.validate(value)
        except ValidationError as error:
            return [error]
        return []


@dataclass(frozen=True, slots=True)
class CompiledSchema:
    """A schema ready for use, the files it was made from, and warnings about them."""

    schema: EventSchema
    inputs: tuple[Path, ...]
    warnings: tuple[SchemaProblem, ...]


def compile_schema(path: Path, read: Callable[[Path], bytes]) -> CompiledSchema:
    """
    Compile the schema at `path`; it and the files that it refers to are read with `read`.

    `read` raises OSError for a file that cannot be read. Raises SchemaError with every problem.
    """
    sources = SchemaSources(path, read)
    problems = list(_pattern_problems(sources.patterns))
    if not problems:
        try:
            validator = _validator(sources)
        except ValueError as error:
            message = short(str(getattr(error, "message", error)), _LONGEST_MESSAGE)
            problems.append(SchemaProblem(path, "", "schema-invalid", message))
    if problems:
        raise SchemaError(problems, sources.inputs)
    schema = EventSchema(
        sources.digest,
        validator,
        sources.has_alternatives,
        sources.is_explosive,
        sources.visits,
    )
    return CompiledSchema(schema, tuple(sources.inputs), tuple(sources.warnings))


def quick_check(schema: dict[str, Any]) -> Callable[[object], bool]:
    """
    Return a check of values against a schema of our own that has no references.

    It takes microseconds. True is certain; False may also mean that the check was not possible.
    """
    import jsonschema_rs

    validator = jsonschema_rs.Draft202012Validator(schema)

    def surely_fits(value: object) -> bool:
        try:
            return validator.is_valid(value)
        except ValueError:  # a number beyond every machine's, a WideNumber
            return False

    return surely_fits


MAX_PROBLEMS = 5
_MASK = "\0"
_NO_DETAIL = "the event: does not fit the schema; finding out where would take too long"
_LONGEST_MESSAGE = 300
_LONGEST_PATH = 200
_LONGEST_KEY = 60
_SMALL_COUNT = 500
"""Values in an event for which every error can be found quickly."""
_MOST_ERRORS = 20_000
"""As many as half a second is enough for, if every check of every value fails."""
_SMALL_PRODUCT = 50_000_000
"""Values times characters of texts and keys, since each error may repeat them all."""


def _validator(sources: SchemaSources) -> Any:  # noqa: ANN401 - jsonschema_rs, imported where used
    import jsonschema_rs

    # Objects and booleans, as the check against the metaschema has made sure.
    root: Any = sources.root.value
    resources: Any = sources.resources

    def refuse(uri: str) -> NoReturn:
        raise ValueError(f"{uri} is not fetched")

    return jsonschema_rs.Draft202012Validator(
        root,
        base_uri=sources.root.uri,
        registry=jsonschema_rs.Registry(resources, retriever=refuse),
        retriever=refuse,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask=_MASK,
    )


def _pattern_problems(patterns: Sequence[SchemaRegex]) -> Iterator[SchemaProblem]:
    import jsonschema_rs

    def compiles(text: str, engine: Any) -> bool:  # noqa: ANN401 - either engine's options
        try:
            jsonschema_rs.Draft202012Validator({"pattern": text}, pattern_options=engine)
        except ValueError:
            return False
        return True

    for pattern in patterns:
        if compiles(pattern.text, jsonschema_rs.RegexOptions()):
            continue
        message = f"`{short(pattern.text)}` is not a regular expression"
        code = "schema-pattern"
        if compiles(pattern.text, jsonschema_rs.FancyRegexOptions()):
            code = "schema-pattern-not-linear"
            message = (
                f"the pattern `{short(pattern.text)}` needs a backtracking engine, which one event "
                "could stop; write it without look-around, back-references and huge repetitions"
            )
        yield SchemaProblem(pattern.file, pattern.where, code, message)


def _is_small(value: object, most: int) -> bool:
    level, count, text = [value], 0, 0
    while level:
        count += len(level)
        if count > most:
            return False
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
                text += sum(map(len, item))
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, str):
                text += len(item)
        level = below
    return count * text <= _SMALL_PRODUCT


def _sentences(errors: Sequence[Any], event: object) -> Iterator[str]:
    yield from (_sentence(error, event) for error in errors[:MAX_PROBLEMS])
    if len(errors) > MAX_PROBLEMS:
        yield f"and {len(errors) - MAX_PROBLEMS} more"


def _sentence(error: Any, event: object) -> str:  # noqa: ANN401 - jsonschema_rs, see above
    return f"{_path(error)}: {_reason(error, event)}"


def _reason(error: Any, event: object) -> str:  # noqa: ANN401 - jsonschema_rs, see above
    alternatives = getattr(error.kind, "context", None)
    if error.kind.name == "falseSchema":
        # For an additional property, jsonschema-rs names only the object.
        extra = error.schema_path[-1:] == ["additionalProperties"]
        return "has a property, and none is allowed" if extra else "is not allowed"
    if alternatives and all(alternatives):
        nearest = min(alternatives, key=lambda errors: _distance(errors, error.instance_path))
        fits = f"fits none of the {len(alternatives)} schemas of {error.kind.name}"
        return f"{fits}; of the nearest: {_path(nearest[0])}: {_message(nearest[0], event)}"
    return _message(error, event)


def _message(error: Any, event: object) -> str:  # noqa: ANN401 - jsonschema_rs, see above
    message = error.message.replace(_MASK, _shown(event, error.instance_path))
    return short(_escape(message), _LONGEST_MESSAGE)


def _path(error: Any) -> str:  # noqa: ANN401 - jsonschema_rs, see above
    path = "".join(map(_step, error.instance_path)).removeprefix(".")
    return short(path, _LONGEST_PATH) or "the event"


def _distance(errors: Sequence[Any], path: list[str | int]) -> tuple[bool, int]:
    """Return how far a value is from an alternative; one of another type is the farthest."""
    other = any(e.kind.name == "type" and e.instance_path == path for e in errors)
    return other, len(errors)


def _shown(event: object, path: Sequence[str | int]) -> str:
    """Return the value at `path`, cut; of an object or array only the type."""
    value: Any = event
    try:
        for step in path:
            value = value[step]
    except (LookupError, TypeError):  # jsonschema-rs leaves empty keys out of a path
        return "the value"
    match value:
        case dict():
            return "the object"
        case list():
            return "the array"
        case str():
            return json.dumps(short(value), ensure_ascii=False)
        case bool() | None:
            return json.dumps(value)
        case _:
            return short(str(value))


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if _PLAIN_KEY.fullmatch(step):
        return f".{short(step, _LONGEST_KEY)}"
    return f"[{_escape(json.dumps(short(step, _LONGEST_KEY), ensure_ascii=False))}]"


_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


def _escape(text: str) -> str:
    """Escape what a terminal or a log would act upon."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
