"""From the `match` of a route to compiled patterns."""

import re
from collections.abc import Iterator
from typing import Final

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Section
from lambdo_router.core.message import SYSTEM_NUMBERS
from lambdo_router.core.patterns import Pattern, PatternError, compile_pattern
from lambdo_router.core.routing import Match
from lambdo_router.core.strict_json import WideNumber

SYSTEM_ATTRIBUTES = (
    "AWSTraceHeader",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
)
"""The attributes that SQS itself gives to messages."""
_TEXTS = frozenset(SYSTEM_ATTRIBUTES) - SYSTEM_NUMBERS


def read_match(section: Section) -> Match:
    """Return the route's patterns."""
    match = section.section("match")
    _check_flat(match)
    _check_system(match)
    _warn_of_comparisons(match)
    return Match(
        attributes=_pattern(match, "attributes"),
        body=_pattern(match, "body"),
        system=_pattern(match, "system"),
    )


def _pattern(match: Section, part: str) -> Pattern | None:
    value, at = match.get(part), match.at(part)
    if not isinstance(value, dict):
        return None
    try:
        return compile_pattern(value, scalars=True, masked=match.draft.masked(at, value))
    except PatternError as error:
        _report(match.draft, at, value, error)
        return None


def _report(draft: Draft, at: Path, pattern: dict[str, object], error: PatternError) -> None:
    """Add the problem of each field; or that of the whole pattern, if each field is valid."""
    errors = [inner for field in pattern.items() if (inner := _error_of(*field)) is not None]
    for problem in errors or [error]:
        path, text = (*at, *problem.path), str(problem)
        if _has_variable(draft.written(path)):
            # The text may quote the value of the variable, which may be a secret.
            text = "with the value of the variable this is not a valid pattern"
        draft.problem(path, "bad-pattern", text, on="key" if problem.of_key else "value")


def _error_of(field: str, value: object) -> PatternError | None:
    try:
        compile_pattern({field: value}, scalars=True)
    except PatternError as error:
        return error
    return None


def _has_variable(value: object) -> bool:
    match value:
        case str():
            return "${" in value
        case dict():
            return any(map(_has_variable, value.values()))
        case list():
            return any(map(_has_variable, value))
        case _:
            return False


def _check_flat(match: Section) -> None:
    """Refuse patterns that look inside an attribute: attributes are plain values."""
    attributes = match.section("attributes")
    for name, value in attributes.value.items():
        if isinstance(value, dict) and _error_of(name, value) is None:
            match.draft.problem(
                attributes.at(name),
                "nested-attribute",
                f"the attribute `{name}` has no fields",
                hint="write a value, or a list of values and tests such as [{prefix: img-}]",
            )


def _check_system(match: Section) -> None:
    system, draft = match.section("system"), match.draft
    for name, values in system.value.items():
        if name not in SYSTEM_ATTRIBUTES and not name.startswith("$"):
            what = f"SQS has no attribute `{name}` of its own"
            hint, at = closest(name, SYSTEM_ATTRIBUTES), system.at(name)
            draft.problem(at, "unknown-attribute", what, on="key", severity="warning", hint=hint)
        for index, value in enumerate(values if isinstance(values, list) else [values]):
            at = system.at(name, *([index] if isinstance(values, list) else []))
            if isinstance(value, bool | str) and name in SYSTEM_NUMBERS:
                never, hint = f"`{name}` is a number", "write it without quotes"
            elif isinstance(value, bool | int | float | WideNumber) and name in _TEXTS:
                never, hint = f"`{name}` is text", "quote it"
            else:
                continue
            what = f"{draft.shown(at)} never matches: SQS's attribute {never}"
            draft.problem(at, "never-matches", what, hint=hint)


def _warn_of_comparisons(match: Section) -> None:
    """Warn of `[">", 5]`, which matches a `>` and a 5, and of `"> 5"`, which matches that text."""
    for part, pattern in match.value.items():
        for at in _like_comparisons(pattern, match.at(part)):
            match.draft.problem(
                at,
                "comparison-as-text",
                f"{match.draft.shown(at)} is not a comparison; it matches exactly this text",
                severity="warning",
                hint='write [{numeric: [">", 5]}] to compare numbers',
            )


_SIGNS: Final = ("<", "<=", ">", ">=", "=", "==", "!=")
_COMPARISON: Final = re.compile(r"(?:[<>]=?|==?|!=) ?-?[0-9]+(?:\.[0-9]+)?")


def _like_comparisons(value: object, at: Path) -> Iterator[Path]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _like_comparisons(inner, (*at, key))
        case list() if at[-1] == "$or":
            for index, alternative in enumerate(value):
                yield from _like_comparisons(alternative, (*at, index))
        case list():
            for index, item in enumerate(value):
                follows = value[index + 1] if index + 1 < len(value) else None
                if isinstance(item, str) and _compares(item, follows):
                    yield (*at, index)
        case str() if _COMPARISON.fullmatch(value):
            yield at


def _compares(text: str, follows: object) -> bool:
    if text in _SIGNS:
        return isinstance(follows, int | float) and not isinstance(follows, bool)
    return _COMPARISON.fullmatch(text) is not None
