"""
What one place says about a profile: the defaults, a profile, or a profile inside a route.

A layer is read and checked once, where it is written. Then layers are put on top of each other, and
every value remains a node, so that values that contradict each other are reported where they are
written. `env` and `machine` are merged key by key; any other key replaces that of the layer below.
"""

import re
from collections.abc import Callable, Mapping
from typing import TypedDict, cast

from lambdo_router.config.compile.machine_config import (
    OWNED_VARIABLES_HINT,
    is_owned_variable,
    read_machine,
)
from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.nodes import Node, Section, Unfit
from lambdo_router.config.read.units import parse_duration, parse_size, size_text
from lambdo_router.core.profile import SIZES, Guest, Preset, normalise_image

SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 1.0, 11 * 3600.0
"""Seconds that a Machine may live."""
LONGEST_WINDOW = 900.0
"""
Seconds. SQS lets a message be held for 12 hours in all. While a batch waits its leases are renewed
and its events are in memory, so a window is for collecting, not for scheduling: a quarter of an
hour leaves 98 % of the 12 hours for the launch and what comes after it.
"""
MOST_BATCH_BYTES = 640 * 1024
"""Bytes of events. Fly takes a request of about 1 MiB, and base64 makes four bytes of three."""
_MEGABYTE = 1024 * 1024
_REGION = re.compile(r"[a-z]{3}|us|na|eu|sa|apac")
_APP = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Layer(TypedDict, total=False):
    """The keys that a layer sets; a node without a value is written but not known."""

    partial: bool
    """Whether a part could not be read: a key that is absent may have been there."""
    app: Node[tuple[str, ...] | None]
    """One or several; a name that is not known is there as it is written."""
    region: Node[str | None]
    image: Node[str | None]
    size: Node[str | Guest | None]
    """A name of Fly's table, or CPUs and memory."""
    memory: Node[int | None]
    """MB."""
    command: Node[tuple[str, ...] | None]
    """argv; empty for null, which is the image's own."""
    env: tuple[Node[Mapping[str, object]], ...]
    """The lowest layer's first."""
    batch_size: Node[int | None]
    batch_window: Node[float | None]
    """Seconds."""
    batch_bytes: Node[int | None]
    acknowledge: Node[str | None]
    timeout: Node[float | None]
    """Seconds."""
    max_machines: Node[int | None]
    max_attempts: Node[int | None]
    machine: tuple[Node[Mapping[str, object]], ...]
    """The lowest layer's first."""


def on_top(upper: Layer, lower: Layer) -> Layer:
    """Return the lower layer with everything that the upper one sets in its place."""
    merged: Layer = {**lower, **upper}
    merged["partial"] = upper["partial"] or lower["partial"]
    merged["env"] = (*lower.get("env", ()), *upper.get("env", ()))
    merged["machine"] = (*lower.get("machine", ()), *upper.get("machine", ()))
    # A size with CPUs and memory leaves nothing for an inherited `memory` to set.
    if "size" in upper and "memory" not in upper and is_in_full(upper):
        merged.pop("memory", None)
    return merged


def is_in_full(layer: Layer) -> bool:
    """Return whether the layer's size is written as CPUs and memory."""
    size = layer.get("size")
    return size is not None and isinstance(size.draft.written(size.path), dict)


def merged(
    nodes: tuple[Node[Mapping[str, object]], ...], *, as_written: bool = False
) -> dict[str, object]:
    """Return the mappings as one, the last on top; `as_written` with variables not filled in."""
    result: dict[str, object] = {}
    for node in nodes:
        value = node.draft.masked(node.path, node.value) if as_written else node.value
        result = _merged(result, value)
    return result


def _merged(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    result = dict(lower)
    for key, value in upper.items():
        below = result.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        result[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def read_layer(section: Section) -> Layer:
    """Return what this mapping sets, each value checked by itself."""
    guest = _guest(section)
    nodes: dict[str, object] = {key: section.parsed(key, parse) for key, parse in _PARSED.items()}
    nodes |= {key: section.number(key) for key in ("batch_size", "max_machines", "max_attempts")}
    nodes |= {
        "app": _apps(section),
        "size": section.parsed("size", _size) if guest is None else guest,
        "command": _command(section),
        "acknowledge": section.text("acknowledge"),
        "env": _env(section),
        "machine": read_machine(section),
    }
    layer = {key: node for key, node in nodes.items() if node}
    return cast("Layer", {"partial": not section.draft.is_known(section.path), **layer})


def memory_in_size(preset: Preset, memory_mb: int) -> str | None:
    """Return what Fly gives these CPUs, in MB, if it does not give them this much memory."""
    least, most, step = preset.min_memory_mb, preset.max_memory_mb, preset.memory_step_mb
    if least <= memory_mb <= most and memory_mb % step == 0:
        return None
    return f"allowed is {least} to {most} in steps of {step}"


def memory_with_size(preset: Preset, memory_mb: int) -> str | None:
    """Return the same for the key `memory`, in its units."""
    if memory_in_size(preset, memory_mb) is None:
        return None
    amounts = (preset.min_memory_mb, preset.max_memory_mb, preset.memory_step_mb)
    least, most, step = (size_text(amount * _MEGABYTE) for amount in amounts)
    return f"allowed is {least} to {most} in steps of {step}"


def _apps(section: Section) -> Node[tuple[str, ...] | None] | None:
    if "app" not in section:
        return None
    draft, value, at = section.draft, section.get("app"), section.at("app")
    several = enumerate(value) if isinstance(value, list) else ()
    apps: list[str] = []
    for path, name in [((*at, index), one) for index, one in several] or [(at, value)]:
        if isinstance(name, str):
            valid = draft.is_known(path) and draft.parsed(path, name, _app) is not None
            apps.append(name if valid else str(draft.written(path)))
    return Node(draft, at, tuple(dict.fromkeys(apps)) or None)


def _app(text: str) -> str:
    if _APP.fullmatch(text) is None:
        hint = "the name of a Fly app is lower-case letters, digits and `-`"
        raise ValueError(f"{hint}; write several as a list" if "," in text else hint)
    return text


def _region(text: str) -> str:
    regions = [region.strip() for region in text.split(",")]
    if not all(map(_REGION.fullmatch, regions)):
        raise ValueError("write codes such as iad, or us, na, eu, apac, sa, any, like iad,us,any")
    return ",".join(regions)


def _image(text: str) -> str:
    if normalise_image(text) is None:
        raise ValueError("write an image reference, like registry.fly.io/app:tag")
    return text


def _size(text: str) -> str:
    if text not in SIZES:
        raise Unfit(closest(text, SIZES), "unknown-size")
    return text


def _megabytes(text: str) -> int:
    count = parse_size(text)
    if count == 0 or count % _MEGABYTE:
        raise Unfit("write whole megabytes, like 512mb or 2gb")
    return count // _MEGABYTE


def _timeout(text: str) -> float:
    seconds = parse_duration(text)
    if not SHORTEST_TIMEOUT <= seconds <= LONGEST_TIMEOUT:
        raise Unfit("allowed is 1s to 11h: SQS hides a message for 12 hours at most")
    return seconds


def _window(text: str) -> float:
    seconds = parse_duration(text)
    if seconds > LONGEST_WINDOW:
        raise Unfit("allowed is 0s to 15m: the events of a batch are held while it waits")
    return seconds


def _batch_bytes(text: str) -> int:
    count = parse_size(text)
    if not 1024 <= count <= MOST_BATCH_BYTES:  # noqa: PLR2004 - 1kb, as the message says
        most = size_text(MOST_BATCH_BYTES)
        raise Unfit(f"allowed is 1kb to {most}: Fly's create request has room for no more")
    return count


_PARSED: Mapping[str, Callable[[str], object]] = {
    "region": _region,
    "image": _image,
    "memory": _megabytes,
    "batch_window": _window,
    "batch_bytes": _batch_bytes,
    "timeout": _timeout,
}


def _guest(section: Section) -> Node[Guest | None] | None:
    """Return the size written as a mapping; None if it is written otherwise or not at all."""
    if not isinstance(section.get("size"), dict):
        return None
    size = section.section("size")
    kind, cpus, memory = size.text("cpu_kind"), size.number("cpus"), size.number("memory_mb")
    unknown: Node[Guest | None] = Node(size.draft, size.path, None)
    if kind is None or cpus is None or memory is None:
        return unknown
    if cpus.value is None or memory.value is None or kind.value not in ("shared", "performance"):
        return unknown
    prefix = "shared-cpu-" if kind.value == "shared" else "performance-"
    preset = SIZES.get(f"{prefix}{cpus.value}x")
    if preset is None:
        counts = [name[len(prefix) : -1] for name in SIZES if name.startswith(prefix)]
        what = f"Fly has no {kind.value} Machine with {cpus.value} CPUs"
        cpus.report("cpus-not-allowed", what, f"allowed are: {', '.join(counts)}")
        return unknown
    advice = memory_in_size(preset, memory.value)
    if advice is not None:
        what = f"`memory_mb` is {memory.value}, which does not fit {cpus.value} {kind.value} CPUs"
        memory.report("memory-not-allowed", what, advice)
        return unknown
    guest = Guest(preset.guest.cpu_kind, cpus.value, memory.value)
    return Node(size.draft, size.path, guest)


def _command(section: Section) -> Node[tuple[str, ...] | None] | None:
    if "command" not in section:
        return None
    draft, at, value = section.draft, section.at("command"), section.get("command")
    if value is None and "command" in section.value:
        return Node(draft, at, ())
    if not isinstance(value, list) or not all(isinstance(argument, str) for argument in value):
        return Node(draft, at, None)
    if value[0] == "":
        draft.problem((*at, 0), "empty", "the program of `command` is empty", hint="name it")
    return Node(draft, at, tuple(value))


def _env(section: Section) -> tuple[Section, ...]:
    env = section.section("env")
    for name in env.value:
        if is_owned_variable(name):
            env.draft.problem(
                env.at(name),
                "owned-by-router",
                f"`{name}` is set by the router",
                on="key",
                hint=OWNED_VARIABLES_HINT,
            )
    texts = {name: value for name, value in env.value.items() if isinstance(value, str)}
    return (Node(env.draft, env.path, texts),) if texts else ()
