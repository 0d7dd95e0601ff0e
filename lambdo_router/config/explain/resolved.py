"""
The values of a routing table by key, spelled as in a routes file.

A table holds seconds, bytes and compiled patterns; people wrote `2m`, `512kb` and a mapping. Tools
that show or compare tables use the keys of the file, with a period before each name in a merged
mapping (`env.LOG_LEVEL`, `machine.stop_config.timeout`, `match.body.object.size`).

A variable may hold a secret. For people, use the `public` form of a queue or profile, in which
variables are as written.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from lambdo_router.config.read.places import Origin
from lambdo_router.config.read.units import size_text
from lambdo_router.core.patterns import Pattern
from lambdo_router.core.profile import Overrides, Profile
from lambdo_router.core.routing import Queue, Route

Values = dict[str, object]
"""Keys and JSON values, in the order of the reference; unset keys are missing."""


def duration_text(seconds: float) -> str:
    """Spell seconds as `parse_duration` reads them, in the largest unit that divides them."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0 and (milliseconds or unit == "s"):
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


_SPELLED: Mapping[str, Callable[[Any], str]] = {
    "visibility": duration_text,
    "batch_window": duration_text,
    "batch_bytes": size_text,
    "timeout": duration_text,
}


def queue_values(queue: Queue) -> Values:
    """Return every value of a queue except its name."""
    values: Values = {}
    for field in fields(queue):
        value, spelled = getattr(queue, field.name), _SPELLED.get(field.name)
        if field.name not in ("name", "masked") and value is not None:
            key = "name" if field.name == "lookup" else field.name
            values[key] = value if spelled is None else spelled(value)
    return values


def profile_values(profile: Profile) -> Values:
    """Return every value of a profile except its name."""
    values: Values = {}
    for field in fields(profile):
        value = getattr(profile, field.name)
        match field.name:
            case "name" | "guest" | "more_apps" | "masked":
                continue  # `size` has the guest, and `app` every app
            case "app" if profile.more_apps:
                values["app"] = list(profile.apps)
            case "env":
                values |= {f"env.{name}": text for name, text in value}
            case "machine":
                values |= dict(_leaves("machine", json.loads(value)))
            case "command" if value is not None:
                values["command"] = list(value)
            case name if value not in (None, ""):
                spelled = _SPELLED.get(name)
                values[name] = value if spelled is None else spelled(value)
    return values


def route_values(route: Route, *, masked: bool = True) -> Values:
    """
    Return a route's own values: all but its name, its schema's contents and its profile.

    With `masked`, variables are as written; without, they have their values.
    """
    queues = list(route.queues)
    values: Values = {"queue": queues[0] if len(queues) == 1 else queues}
    for part in ("attributes", "body", "system"):
        pattern: Pattern | None = getattr(route.match, part)
        if pattern is not None:
            values |= dict(_leaves(f"match.{part}", pattern_json(pattern, masked=masked)))
    if route.schema is not None:
        values["on_invalid"] = route.on_invalid
    return values | _override_values(route.overrides.public if masked else route.overrides)


def pattern_json(pattern: Pattern, *, masked: bool = True) -> dict[str, Any]:
    """Return the pattern as JSON; a number that no double can hold becomes text."""
    source = pattern.public_source if masked else pattern.source
    read: dict[str, Any] = json.loads(source, parse_float=_number)
    return read


def _number(text: str) -> float | str:
    number = float(text)
    exact = math.isfinite(number) and Decimal(repr(number)) == Decimal(text)
    return number if exact else text


def may_be_secret(key: str) -> bool:
    """Return whether the variables in this key of a profile are hidden by default."""
    return key in ("image", "command") or key.startswith(("env.", "machine."))


def unresolved(origins: Mapping[str, Origin]) -> dict[str, str]:
    """Return the keys whose values depend on an unset variable, with what is written there."""
    return {
        key: json.dumps(origin.written) if not isinstance(origin.written, str) else origin.written
        for key, origin in origins.items()
        if _is_unset(origin.value, origin.written)
    }


def _is_unset(value: object, written: object) -> bool:
    """Return whether a `${` is left in the value; a literal one is written differently."""
    if isinstance(value, list) and isinstance(written, list):
        return any(map(_is_unset, value, written))
    return value == written and isinstance(value, str) and "${" in value


def _override_values(overrides: Overrides) -> Values:
    command = overrides.command
    values: Values = {
        "overrides.image": list(overrides.image),
        "overrides.size": list(overrides.size),
        "overrides.command": command is True or [list(prefix) for prefix in command or ()],
    }
    return {key: value for key, value in values.items() if value}


def _leaves(path: str, value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield everything in nested mappings that is not a mapping, and the empty ones."""
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(f"{path}.{key}", inner)
        else:
            yield f"{path}.{key}", inner
