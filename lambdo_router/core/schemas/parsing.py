"""The JSON of schema files, read strictly, so that duplicate keys do not go unnoticed."""

import json
import math
from collections.abc import Sequence
from typing import NoReturn

from lambdo_router.core.schemas.keywords import short

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
"""Levels of objects and arrays in one schema file."""


class NotJson(ValueError):
    """A file that is not strict JSON. `where` is `line:column` or empty."""

    def __init__(self, where: str, code: str, message: str) -> None:
        super().__init__(message)
        self.where = where
        self.code = code


def parse(content: bytes) -> object:
    """
    Return the value in a schema file. Its floats are finite.

    Raises NotJson, also for a file that is too large or too deep.
    """
    if len(content) > MAX_BYTES:
        raise NotJson("", "schema-too-large", f"the file is over {MAX_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8").split("\n")
        where = f"{len(before)}:{len(before[-1]) + 1}"
        raise NotJson(where, "schema-not-json", "this is not UTF-8") from error
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        where = f"{error.lineno}:{error.colno}"
        raise NotJson(where, "schema-not-json", f"this is not JSON: {error.msg}") from error
    except ValueError as error:
        raise NotJson("", "schema-not-json", str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise _too_deep()
    return value


def _inside(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return tuple(value.values())
    return value if isinstance(value, list) else ()


def _too_deep() -> NotJson:
    return NotJson("", "schema-too-deep", f"values are nested over {MAX_DEPTH} deep")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made: dict[str, object] = {}
    for key, value in pairs:
        if key in made:
            raise ValueError(f"the key `{short(key)}` occurs twice in one object")
        made[key] = value
    return made


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {short(text)} is out of range")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
