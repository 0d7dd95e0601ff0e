"""What a route matches, in a few words for a table: `attributes.kind = image | img-*`."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lambdo_router.config.explain.resolved import pattern_json
from lambdo_router.core.patterns import OR
from lambdo_router.core.patterns.operators import brief
from lambdo_router.core.routing import Match

_MOST_ALTERNATIVES: Final = 4


def match_text(match: Match) -> str:
    """Return all that must hold, joined with commas; `everything` if nothing must."""
    asked = [
        text
        for part, pattern in match.parts().items()
        for text in _fields(part, pattern_json(pattern))
    ]
    return ", ".join(asked) or "everything"


def _fields(path: str, pattern: Mapping[str, Any]) -> Iterator[str]:
    for key, asked in pattern.items():
        if key == OR:
            alternatives = [", ".join(_fields(path, alternative)) for alternative in asked]
            yield f"({' or '.join(alternatives)})"
        elif isinstance(asked, dict):
            yield from _fields(f"{path}.{key}", asked)
        else:
            yield f"{path}.{key} {_asked(asked)}"


def _asked(conditions: list[Any]) -> str:
    if conditions in ([{"exists": False}], [{"exists": True}]):
        return brief(conditions[0])
    shown = [brief(condition) for condition in conditions[:_MOST_ALTERNATIVES]]
    more = len(conditions) - len(shown)
    alternatives = " | ".join([*shown, f"{more} more"] if more else shown)
    return alternatives if alternatives[0] in "<>=" else f"= {alternatives}"
