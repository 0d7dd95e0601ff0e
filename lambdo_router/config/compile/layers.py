"""
One place that sets keys of a profile: the defaults, a profile, a profile written inside a route.

A layer is read and checked once, where it is written. Then layers are put on top of each other,
and every value remembers where it was written, so that two values that do not go together are
reported there. `env` and `machine` are merged key by key; every other key is replaced by the layer
above.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.config.compile.machine_config import (
    OWNED_VARIABLES_HINT,
    is_owned_variable,
    read_machine,
)
from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.draft import Section, Unfit, Written
from lambdo_router.config.read.units import parse_duration, parse_size, size_text
from lambdo_router.core.profile import SIZES, Guest, Preset, normalise_image

SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 1.0, 11 * 3600.0
"""Seconds that a Machine may live."""
LONGEST_WINDOW = 900.0
"""
Seconds. SQS lets a message be held for 12 hours in all. While a batch waits its leases are renewed
and its events are in memory, so a window is for collecting, not for scheduling: a quarter of an
hour leaves all but 2 % of the 12 hours to the launch and to what comes after it.
"""
MOST_BATCH_BYTES = 640 * 1024
"""Bytes of events. Fly takes a request of about 1 MiB, and base64 makes four bytes of three."""
_MEGABYTE = 1024 * 1024
_REGION = re.compile(r"[a-z]{3}|us|na|eu|sa|apac")
_APP = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says about a profile; None and empty mean that it does not say it."""

    app: Written[tuple[str, ...]] | None = None
    """One or several; a name that is not known is there as it is written."""
    region: Written[str] | None = None
    image: Written[str] | None = None
    size: Written[str] | None = None
    """A name of Fly's table."""
    guest: Written[Guest] | None = None
    """A size written as CPUs and memory. Of `size` and `guest` at most one is set."""
    memory: Written[int] | None = None
    """MB."""
    command: Written[tuple[str, ...]] | None = None
    """argv; empty for null, which is the image's own."""
    env: Mapping[str, str] = field(default_factory=dict)
    veiled_env: Mapping[str, str] = field(default_factory=dict)
    """The same with variables as they are written."""
    batch_size: Written[int] | None = None
    batch_window: Written[float] | None = None
    """Seconds."""
    batch_bytes: Written[int] | None = None
    acknowledge: Written[str] | None = None
    timeout: Written[float] | None = None
    """Seconds."""
    max_machines: Written[int] | None = None
    max_attempts: Written[int] | None = None
    machine: Mapping[str, object] = field(default_factory=dict)
    veiled_machine: Mapping[str, object] = field(default_factory=dict)
    partial: bool = False
    """Whether something of it could not be read: what it does not say may be there all the same."""


def on_top(upper: Layer, lower: Layer) -> Layer:
    """The lower layer with everything that the upper one says in its place."""
    sized = upper.size is not None or upper.guest is not None
    return Layer(
        app=upper.app or lower.app,
        region=upper.region or lower.region,
        image=upper.image or lower.image,
        size=upper.size if sized else lower.size,
        guest=upper.guest if sized else lower.guest,
        # CPUs and memory in full leave nothing for an inherited `memory` to say.
        memory=upper.memory or (None if upper.guest is not None else lower.memory),
        command=upper.command or lower.command,
        env={**lower.env, **upper.env},
        veiled_env={**lower.veiled_env, **upper.veiled_env},
        batch_size=upper.batch_size or lower.batch_size,
        batch_window=upper.batch_window or lower.batch_window,
        batch_bytes=upper.batch_bytes or lower.batch_bytes,
        acknowledge=upper.acknowledge or lower.acknowledge,
        timeout=upper.timeout or lower.timeout,
        max_machines=upper.max_machines or lower.max_machines,
        max_attempts=upper.max_attempts or lower.max_attempts,
        machine=_merged(lower.machine, upper.machine),
        veiled_machine=_merged(lower.veiled_machine, upper.veiled_machine),
        partial=upper.partial or lower.partial,
    )


def _merged(lower: Mapping[str, object], upper: Mapping[str, object]) -> dict[str, object]:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged


def read_layer(section: Section) -> Layer:
    """What this mapping says, each value checked by itself."""
    draft, guest = section.draft, _guest(section)
    env, machine = _env(section), read_machine(section)
    return Layer(
        app=_apps(section),
        region=section.parsed("region", _region),
        image=section.parsed("image", _image),
        size=section.parsed("size", _size) if guest is None else None,
        guest=guest,
        memory=section.parsed("memory", _megabytes),
        command=_command(section),
        env=env,
        veiled_env=draft.veiled(section.at("env"), env),
        batch_size=section.number("batch_size"),
        batch_window=section.parsed("batch_window", _window),
        batch_bytes=section.parsed("batch_bytes", _batch_bytes),
        acknowledge=section.text("acknowledge"),
        timeout=section.parsed("timeout", _timeout),
        max_machines=section.number("max_machines"),
        max_attempts=section.number("max_attempts"),
        machine=machine,
        veiled_machine=draft.veiled(section.at("machine"), machine),
        partial=not draft.is_known(section.path),
    )


def memory_in_size(preset: Preset, memory_mb: int) -> str | None:
    """What Fly gives these CPUs, in MB, if it does not give them this much memory; else None."""
    least, most, step = preset.min_memory_mb, preset.max_memory_mb, preset.memory_step_mb
    if least <= memory_mb <= most and memory_mb % step == 0:
        return None
    return f"allowed is {least} to {most} in steps of {step}"


def memory_with_size(preset: Preset, memory_mb: int) -> str | None:
    """The same for the key `memory`, in its units."""
    if memory_in_size(preset, memory_mb) is None:
        return None
    amounts = (preset.min_memory_mb, preset.max_memory_mb, preset.memory_step_mb)
    least, most, step = (size_text(amount * _MEGABYTE) for amount in amounts)
    return f"allowed is {least} to {most} in steps of {step}"


def _apps(section: Section) -> Written[tuple[str, ...]] | None:
    """The app, or the apps; what a variable that is not set stands for is left as it is written."""
    if "app" not in section:
        return None
    draft, value, at = section.draft, section.value.get("app"), section.at("app")
    several = enumerate(value) if isinstance(value, list) else ()
    apps: list[str] = []
    for path, name in [((*at, index), one) for index, one in several] or [(at, value)]:
        if isinstance(name, str):
            sound = draft.is_known(path) and draft.parsed(path, name, _app) is not None
            apps.append(name if sound else str(draft.written(path)))
    return Written(tuple(dict.fromkeys(apps)) or None, at)


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
        raise Unfit("write whole megabytes, like 512mb or 2gb", "out-of-range")
    return count // _MEGABYTE


def _timeout(text: str) -> float:
    seconds = parse_duration(text)
    if not SHORTEST_TIMEOUT <= seconds <= LONGEST_TIMEOUT:
        raise Unfit(
            "allowed is 1s to 11h: SQS hides a message for 12 hours at most", "out-of-range"
        )
    return seconds


def _window(text: str) -> float:
    seconds = parse_duration(text)
    if seconds > LONGEST_WINDOW:
        raise Unfit(
            "allowed is 0s to 15m: the events of a batch are held while it waits", "out-of-range"
        )
    return seconds


def _batch_bytes(text: str) -> int:
    count = parse_size(text)
    if not 1024 <= count <= MOST_BATCH_BYTES:  # noqa: PLR2004 - 1kb, as the message says
        most = size_text(MOST_BATCH_BYTES)
        raise Unfit(
            f"allowed is 1kb to {most}, for which Fly's create request has room", "out-of-range"
        )
    return count


def _guest(section: Section) -> Written[Guest] | None:
    """The size written as a mapping; None if it is written in another way or not at all."""
    if not isinstance(section.value.get("size"), dict):
        return None
    draft, size = section.draft, section.draft.section(*section.at("size"))
    kind, cpus, memory = size.text("cpu_kind"), size.number("cpus"), size.number("memory_mb")
    unknown: Written[Guest] = Written(None, size.path)
    if kind is None or cpus is None or memory is None:
        return unknown
    if cpus.value is None or memory.value is None or kind.value not in ("shared", "performance"):
        return unknown
    prefix = "shared-cpu-" if kind.value == "shared" else "performance-"
    preset = SIZES.get(f"{prefix}{cpus.value}x")
    if preset is None:
        counts = [name[len(prefix) : -1] for name in SIZES if name.startswith(prefix)]
        draft.problem(
            cpus.path,
            "cpus-not-allowed",
            f"Fly has no {kind.value} Machine with {cpus.value} CPUs",
            hint=f"allowed are: {', '.join(counts)}",
        )
        return unknown
    guest = Guest(preset.guest.cpu_kind, cpus.value, memory.value)
    advice = memory_in_size(preset, memory.value)
    if advice is not None:
        cpus_text = f"{cpus.value} {kind.value} CPUs"
        what = f"`memory_mb` is {memory.value}, which does not go with {cpus_text}"
        draft.problem(memory.path, "memory-not-allowed", what, hint=advice)
        return unknown
    return Written(guest, size.path)


def _command(section: Section) -> Written[tuple[str, ...]] | None:
    if "command" not in section:
        return None
    at, value = section.at("command"), section.value.get("command")
    if value is None and "command" in section.value:
        return Written((), at)
    if not isinstance(value, list) or not all(isinstance(argument, str) for argument in value):
        return Written(None, at)
    if value[0] == "":
        draft = section.draft
        draft.problem((*at, 0), "empty", "the program of `command` is empty", hint="name it")
    return Written(tuple(value), at)


def _env(section: Section) -> dict[str, str]:
    draft, env = section.draft, section.draft.section(*section.at("env"))
    for name in env.value:
        if is_owned_variable(name):
            draft.problem(
                env.at(name),
                "owned-by-router",
                f"`{name}` is set by the router",
                on="key",
                hint=OWNED_VARIABLES_HINT,
            )
    return {name: value for name, value in env.value.items() if isinstance(value, str)}
