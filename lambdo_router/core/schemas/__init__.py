"""
The JSON Schemas of events: compiled once, then asked what is wrong with an event.

Anybody who may send can choose an event, so a check must stay quick and quiet whatever it is given.
jsonschema-rs runs patterns on an engine whose time is linear in the text, and a schema with a
pattern that only a backtracking engine can run is refused. An event that fits costs microseconds.
Of one that does not fit the first few problems are told, unless it is so large that looking for
them would take long.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from lambdo_router.core.schemas.keywords import short
from lambdo_router.core.schemas.sources import (
    Pattern,
    SchemaError,
    SchemaProblem,
    SchemaSources,
    read_sources,
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
    """A compiled schema. Two are equal when their files say the same."""

    digest: str
    _validator: Any = field(compare=False, repr=False)
    _has_alternatives: bool = field(compare=False, repr=False)
    _is_explosive: bool = field(compare=False, repr=False)
    _visits: int = field(compare=False, repr=False)

    def problems(self, value: object) -> tuple[str, ...]:
        """
        What is wrong with an event, as `parse_json` reads it; empty if it fits the schema.

        At most `MAX_PROBLEMS` sentences, each with the path of the value first, then how many more
        there are. They quote no more than a few dozen characters of the event, on one line.
        """
        value = plain(value)
        if self._validator.is_valid(value):
            return ()
        return tuple(_told(self._errors(value), value)) or (_MISFIT,)

    def _errors(self, value: object) -> list[Any]:
        """jsonschema-rs's errors, as many as can be had quickly."""
        from jsonschema_rs import ValidationError

        # jsonschema-rs makes all errors before the first can be seen, also those of every
        # alternative; and while it makes them it looks at a value as often as schemas apply to it.
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
    """A schema ready for use, the files it was made from, and what seems odd in them."""

    schema: EventSchema
    inputs: tuple[Path, ...]
    warnings: tuple[SchemaProblem, ...]


def compile_schema(path: Path, read: Callable[[Path], bytes]) -> CompiledSchema:
    """
    Compile the schema at `path`; it and the files that it refers to are read with `read`.

    `read` raises OSError for a file that cannot be read. Raises SchemaError with every problem.
    """
    sources = read_sources(path, read)
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
    return CompiledSchema(schema, sources.inputs, sources.warnings)


def quick_check(schema: dict[str, Any]) -> Callable[[object], bool]:
    """
    Whether a value surely fits a schema of our own, without a reference in it: in microseconds.

    False is no verdict: a value that cannot be judged quickly gets it too.
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
_MISFIT = "the event: does not fit the schema; to find out where would take too long"
_LONGEST_MESSAGE = 300
_LONGEST_PATH = 200
_LONGEST_KEY = 60
_SMALL_COUNT = 500
"""Values in an event of which every error can be had quickly."""
_MOST_ERRORS = 20_000
"""As many as every look at every value of an event can make in half a second."""
_SMALL_PRODUCT = 50_000_000
"""And its values times the characters of its texts and keys: each error may repeat them all."""


def _validator(sources: SchemaSources) -> Any:  # noqa: ANN401 - jsonschema_rs, imported where used
    import jsonschema_rs

    # Objects and booleans, as read_sources has made sure.
    root: Any = sources.root
    resources: Any = sources.resources

    def refuse(uri: str) -> NoReturn:
        raise ValueError(f"{uri} is not fetched")

    return jsonschema_rs.Draft202012Validator(
        root,
        base_uri=sources.uri,
        registry=jsonschema_rs.Registry(resources, retriever=refuse),
        retriever=refuse,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        mask=_MASK,
    )


def _pattern_problems(patterns: Sequence[Pattern]) -> Iterator[SchemaProblem]:
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
        message = f"`{short(pattern.text)}` is no regular expression"
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


def _told(errors: Sequence[Any], event: object) -> Iterator[str]:
    yield from (_sentence(error, event) for error in errors[:MAX_PROBLEMS])
    if len(errors) > MAX_PROBLEMS:
        yield f"and {len(errors) - MAX_PROBLEMS} more"


def _sentence(error: Any, event: object) -> str:  # noqa: ANN401 - jsonschema_rs, see above
    return f"{_path(error)}: {_reason(error, event)}"


def _reason(error: Any, event: object) -> str:  # noqa: ANN401 - jsonschema_rs, see above
    alternatives = getattr(error.kind, "context", None)
    if error.kind.name == "falseSchema":
        # Of a property that is one too many, jsonschema-rs names only the object.
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
    """How far a value is from an alternative: a value of another type is not meant for it."""
    other = any(e.kind.name == "type" and e.instance_path == path for e in errors)
    return other, len(errors)


def _shown(event: object, path: Sequence[str | int]) -> str:
    """The value at `path`: in short if it is a scalar, else only what it is."""
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
    """What a terminal or a log would act upon is written out."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
