"""
What a routing table says, key by key, spelled as a routes file spells it.

A table holds seconds, bytes and compiled patterns; people wrote `2m`, `512kb` and a mapping. Tools
that show or compare tables speak in these keys: those of the file, with a period before each name
of a merged mapping (`env.LOG_LEVEL`, `machine.stop_config.timeout`, `match.body.object.size`).

A variable may hold a secret: for people there are the values of what a thing is `told` as, in which
variables are as they are written.
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
"""Keys and values as JSON has them, in the order of the reference. What is not set is not there."""


def duration_text(seconds: float) -> str:
    """Seconds as `parse_duration` reads them, in the largest unit that divides them."""
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
    """Everything that the table knows of a queue, but its name."""
    values: Values = {}
    for field in fields(queue):
        value, spelled = getattr(queue, field.name), _SPELLED.get(field.name)
        if field.name not in ("name", "veiled") and value is not None:
            key = "name" if field.name == "lookup" else field.name
            values[key] = value if spelled is None else spelled(value)
    return values


def profile_values(profile: Profile) -> Values:
    """Everything that the table knows of a profile, but its name."""
    values: Values = {}
    for field in fields(profile):
        value = getattr(profile, field.name)
        match field.name:
            case (
                "name" | "guest" | "more_apps" | "veiled"
            ):  # the size says the guest, `app` all apps
                continue
            case "app" if profile.more_apps:
                values["app"] = list(profile.apps)
            case "env":
                values |= {f"env.{name}": text for name, text in value}
            case "machine":
                values |= {".".join(path): leaf for path, leaf in _leaves(profile)}
            case "command" if value is not None:
                values["command"] = list(value)
            case name if value not in (None, ""):
                spelled = _SPELLED.get(name)
                values[name] = value if spelled is None else spelled(value)
    return values


def route_values(route: Route, *, veiled: bool = True) -> Values:
    """
    What a route says itself: all but its name, its schema's contents and its profile.

    As people may see it; what it really asks, and allows, unless `veiled`.
    """
    queues = list(route.queues)
    values: Values = {"queue": queues[0] if len(queues) == 1 else queues}
    for part in ("attributes", "body", "system"):
        pattern: Pattern | None = getattr(route.match, part)
        if pattern is not None:
            values |= dict(_fields(f"match.{part}", pattern_json(pattern, veiled=veiled)))
    if route.schema is not None:
        values["on_invalid"] = route.on_invalid
    return values | _override_values(route.overrides.told if veiled else route.overrides)


def pattern_json(pattern: Pattern, *, veiled: bool = True) -> dict[str, Any]:
    """The pattern as JSON; a number that no double stands for is its text."""
    source = pattern.told if veiled else pattern.source
    read: dict[str, Any] = json.loads(source, parse_float=_number)
    return read


def _number(text: str) -> float | str:
    number = float(text)
    exact = math.isfinite(number) and Decimal(repr(number)) == Decimal(text)
    return number if exact else text


def may_be_secret(key: str) -> bool:
    """Whether this is a key of a profile whose variables are not shown without being asked for."""
    return key in ("image", "command") or key.startswith(("env.", "machine."))


def unresolved(origins: Mapping[str, Origin]) -> dict[str, str]:
    """The keys whose values depend on a variable that is not set, with what is written there."""
    return {
        key: json.dumps(origin.written) if not isinstance(origin.written, str) else origin.written
        for key, origin in origins.items()
        if _is_unset(origin.value, origin.written)
    }


def _is_unset(value: object, written: object) -> bool:
    """Whether a `${` is still in there; a literal one is written in another way than it reads."""
    if isinstance(value, list) and isinstance(written, list):
        return any(map(_is_unset, value, written))
    return value == written and isinstance(value, str) and "${" in value


def _override_values(overrides: Overrides) -> Values:
    values: Values = {}
    if overrides.image:
        values["overrides.image"] = list(overrides.image)
    if overrides.size:
        values["overrides.size"] = list(overrides.size)
    if overrides.command:
        command = overrides.command
        values["overrides.command"] = command is True or [list(prefix) for prefix in command]
    return values


def _leaves(profile: Profile) -> Iterator[tuple[tuple[str, ...], object]]:
    """What `machine` sets, each with its path, which begins with `machine`."""
    return _below(("machine",), json.loads(profile.machine))


def _below(
    path: tuple[str, ...], value: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _below((*path, key), inner)
        else:
            yield (*path, key), inner


def _fields(path: str, pattern: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """The fields of a pattern, each with the list of what it may be."""
    for key, asked in pattern.items():
        if isinstance(asked, dict):
            yield from _fields(f"{path}.{key}", asked)
        else:
            yield f"{path}.{key}", asked
