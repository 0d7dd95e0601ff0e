"""The canonical source of a pattern: JSON with sorted keys, by which patterns are compared."""

import json
from collections.abc import Mapping

from lambdo_router.core.patterns.conditions import number_text
from lambdo_router.core.strict_json import WideNumber


def canonical_source(pattern: Mapping[str, object]) -> str:
    """JSON of a pattern that has been compiled. A bare scalar is written as a list of one."""
    members = []
    for key in sorted(pattern):
        value = pattern[key]
        if isinstance(value, Mapping):
            written = canonical_source(value)
        elif isinstance(value, (list, tuple)):
            written = _list(value, key)
        else:
            written = f"[{json_text(value)}]"
        members.append(f"{json.dumps(key)}: {written}")
    return f"{{{', '.join(members)}}}"


def _list(values: list[object] | tuple[object, ...], key: str) -> str:
    if key == "$or":
        written = [canonical_source(value) for value in values if isinstance(value, Mapping)]
    else:
        written = [json_text(value) for value in values]
    return f"[{', '.join(written)}]"


def json_text(value: object) -> str:
    """A value of a pattern in JSON, its numbers digit by digit."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)}: {json_text(value[key])}' for key in value)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(json_text, value))}]"
    if isinstance(value, (int, float, WideNumber)) and not isinstance(value, bool):
        return number_text(value)
    return json.dumps(value)
