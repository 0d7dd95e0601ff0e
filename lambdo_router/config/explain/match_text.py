"""
What a route matches, in a few words for a table: `attributes.kind = image | img-*`.

It is for people, and short: the pattern itself says exactly what it asks.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from lambdo_router.config.explain.resolved import pattern_json
from lambdo_router.core.patterns import Pattern
from lambdo_router.core.routing import Match

_PLAIN: Final = re.compile(r"[^\s|*\"\\]+")
_MOST_ALTERNATIVES: Final = 4


def match_text(match: Match) -> str:
    """All that must hold, joined with commas; `everything` if nothing must."""
    parts: tuple[tuple[str, Pattern | None], ...] = (
        ("attributes", match.attributes),
        ("body", match.body),
        ("system", match.system),
    )
    asked = [
        text
        for part, pattern in parts
        if pattern is not None
        for text in _fields(part, pattern_json(pattern))
    ]
    return ", ".join(asked) or "everything"


def _fields(path: str, pattern: Mapping[str, Any]) -> Iterator[str]:
    for key, asked in pattern.items():
        if key == "$or":
            alternatives = [", ".join(_fields(path, alternative)) for alternative in asked]
            yield f"({' or '.join(alternatives)})"
        elif isinstance(asked, dict):
            yield from _fields(f"{path}.{key}", asked)
        else:
            yield f"{path}.{key} {_asked(asked)}"


def _asked(conditions: list[Any]) -> str:
    if conditions == [{"exists": False}]:
        return "absent"
    if conditions == [{"exists": True}]:
        return "present"
    shown = [_condition(condition) for condition in conditions[:_MOST_ALTERNATIVES]]
    more = len(conditions) - len(shown)
    alternatives = " | ".join([*shown, f"{more} more"] if more else shown)
    return alternatives if alternatives[0] in "<>=" else f"= {alternatives}"


def _condition(condition: object) -> str:
    match condition:
        case {"prefix": str(text)}:
            shown = f"{_text(text)}*"
        case {"suffix": str(text)}:
            shown = f"*{_text(text)}"
        case {"wildcard": str(text)} | {"cidr": str(text)}:
            shown = text
        case {"equals-ignore-case": str(text)}:
            shown = f"{_text(text)} (any case)"
        case {"numeric": list(limits)}:
            shown = " ".join(text if isinstance(text, str) else json.dumps(text) for text in limits)
        case {"exists": bool(wanted)}:
            shown = "present" if wanted else "absent"
        case {"anything-but": excluded}:
            items = excluded if isinstance(excluded, list) else [excluded]
            shown = f"not {' | '.join(map(_condition, items))}"
        case str(text):
            shown = _text(text)
        case _:
            shown = json.dumps(condition, ensure_ascii=False)
    return shown


def _text(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
