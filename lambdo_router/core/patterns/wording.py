"""How values look in messages to people: JSON, escaped, and short whatever a sender wrote."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from lambdo_router.core.message import Undecodable
from lambdo_router.core.strict_json import WideNumber

_LONGEST: Final = 60
"""Characters of a value that are shown."""
_MOST: Final = 4
"""Members of a list that are shown."""
_PLAIN: Final = re.compile(r"[^\s|*\"\\]+")


def shown(value: object) -> str:
    """Return the value as JSON of at most about 60 characters, ASCII only."""
    match value:
        case Mapping():
            text = "an object" if value else "an empty object"
        case list() | tuple():
            text = _list(value)
        case str():
            text = json.dumps(cut(value))
        case WideNumber(digits):
            text = cut(digits)
        case bool() | int() | float() | None:
            text = cut(_scalar(value))
        case Undecodable(data_type):
            text = f"(text that is not a {cut(data_type)})"
        case _:
            text = f"a value of type {type(value).__name__}"
    return text


def _scalar(value: float | None) -> str:
    try:
        return json.dumps(value)
    except ValueError:  # an int that is longer than Python prints
        return "a very long number"


def _list(values: Sequence[object]) -> str:
    rest = [f"... {len(values) - _MOST} more"] if len(values) > _MOST else []
    items = ["[...]" if isinstance(v, (list, tuple)) else shown(v) for v in values[:_MOST]]
    return f"[{', '.join(items + rest)}]"


def described(value: object) -> str:
    """Return the value with its type: `the string "a"`, `true`, `a list`, `an empty object`."""
    match value:
        case bool() | None:
            return shown(value)
        case str():
            return f"the string {shown(value)}"
        case int() | float() | WideNumber():
            return f"the number {shown(value)}"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case Mapping() if value:
            keys = [shown(key) for key in value]
            return f"an object with the key{'s' * (len(keys) > 1)} {either(keys, 'and')}"
        case _:
            return shown(value)


def cut(text: str) -> str:
    """Return the text, or its beginning and `...`."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def either(choices: Sequence[str], word: str = "or") -> str:
    """Return `a`, `a or b`, `a, b or c`; a long list is cut."""
    if len(choices) > _MOST + 1:
        return f"{', '.join(choices[:_MOST])} {word} {len(choices) - _MOST} more"
    *first, last = choices
    return f"{', '.join(first)} {word} {last}" if first else last


def label(path: str) -> str:
    """Return a path or field name for a message: bare if that is readable, else as JSON."""
    readable = path.isprintable() and path.strip() == path and path and len(path) <= 2 * _LONGEST
    return path if readable else shown(path)


class _Brief(Protocol):
    def brief(self, argument: object) -> str | None: ...


def bare(text: str) -> str:
    """Return a text for a table: without quotes if that is unambiguous."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def brief_value(condition: object, operators: Mapping[str, _Brief]) -> str:
    """Return one member of a field's list, as JSON, in a few words for a table."""
    if isinstance(condition, str):
        return bare(condition)
    if isinstance(condition, dict) and len(condition) == 1:
        [(name, argument)] = condition.items()
        if name in operators and (text := operators[name].brief(argument)) is not None:
            return text
    return json.dumps(condition, ensure_ascii=False)
