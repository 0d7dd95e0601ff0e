"""
From `profiles` of a routes file to what a route's Machines are made from.

Every profile starts from the defaults, then comes the chain of `extends`, the furthest ancestor
first, then its own keys. What only shows when all of it is together is checked here: memory that
does not go with the size, and what is missing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from lambdo_router.config.compile.layers import Layer, memory_with_size, on_top, read_layer
from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft, Section, Written, known
from lambdo_router.core.profile import DEFAULT_SIZE, SIZES, Guest, Profile

T = TypeVar("T")
W = TypeVar("W")

DEFAULT_BATCH_SIZE = 10
DEFAULT_TIMEOUT = 900.0
"""Seconds."""
_DOCUMENTED_STEP = 2048
"""MB. Fly's guide names it for performance CPUs, its own tools take half of it."""


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What the environment says for profiles that do not say it."""

    app: str = ""
    region: str | None = None
    app_required: bool = True
    """Whether a profile without an app is a mistake: the file is to be run, not only looked at."""


def read_profiles(draft: Draft) -> dict[str, Layer]:
    """
    Every profile of the file by name, on top of all that it inherits.

    The defaults are there under the empty name. What is wrong is noted in the draft.
    """
    own = {name: draft.section("profiles", name) for name in draft.names("profiles")}
    read = {name: read_layer(section) for name, section in own.items()}
    layers = {"": read_layer(draft.section("defaults"))}
    for name in own:
        _resolve(name, own, read, layers)
    for name in own:
        check_memory(draft, layers[name])
    return layers


def inherit(section: Section, layers: Mapping[str, Layer]) -> Layer:
    """The layer that this profile is put on top of: its parent's, else the defaults."""
    parent = _parent(section, layers)
    return layers[""] if parent is None else layers[parent]


def complete(draft: Draft, layer: Layer, name: str, place: Path, fallbacks: Fallbacks) -> Profile:
    """
    The profile that a route uses. What it lacks is noted in the draft, at the key of `place`.

    A profile without an image is complete: senders may have to name one.
    """
    apps = (fallbacks.app,) if layer.app is None else layer.app.value or ("",)
    if not apps[0] and layer.app is None and not layer.partial and fallbacks.app_required:
        draft.problem(
            place,
            "no-app",
            f"{_called(draft, place)} names no Fly app",
            on="key",
            hint="write `app`, here or in `defaults`, or set LAMBDO_FLY_APP",
        )
    size, guest = _size_and_guest(layer)
    profile = Profile(
        name=name,
        app=apps[0],
        image=_text(draft, layer.image, ""),
        size=size,
        guest=guest,
        region=_text(draft, layer.region, "") or fallbacks.region,
        command=known(layer.command, ()) or None,
        env=tuple(sorted(layer.env.items())),
        batch_size=known(layer.batch_size, DEFAULT_BATCH_SIZE),
        batch_window=known(layer.batch_window, 0.0),
        batch_bytes=known(layer.batch_bytes, 512 * 1024),
        acknowledge="launch" if known(layer.acknowledge, "success") == "launch" else "success",
        timeout=known(layer.timeout, DEFAULT_TIMEOUT),
        max_machines=None if layer.max_machines is None else layer.max_machines.value,
        max_attempts=None if layer.max_attempts is None else layer.max_attempts.value,
        machine=_compact(layer.machine),
        more_apps=apps[1:],
    )
    veiled = replace(
        profile,
        image=_veiled(draft, layer.image, profile.image),
        command=tuple(_veiled(draft, layer.command, list(profile.command or ()))) or None,
        env=tuple(sorted(layer.veiled_env.items())),
        machine=_compact(layer.veiled_machine),
    )
    return profile if veiled == profile else replace(profile, veiled=veiled)


def _compact(machine: Mapping[str, object]) -> str:
    return json.dumps(machine, sort_keys=True, separators=(",", ":"))


def _veiled(draft: Draft, written: Written[W] | None, value: T) -> T:
    """The value with variables as they stand where it is written."""
    return value if written is None else draft.veiled(written.path, value)


def _called(draft: Draft, place: Path) -> str:
    """The profile at `place`; one written inside a route goes by the route's name."""
    if place[0] == "routes":
        return f"the profile of {draft.describe(place[:2])}"
    return draft.describe(place)


def _text(draft: Draft, written: Written[str] | None, default: str) -> str:
    """The text; as the author wrote it, where a variable is not set."""
    if written is None:
        return default
    return written.value if written.value is not None else str(draft.written(written.path))


def _size_and_guest(layer: Layer) -> tuple[str, Guest]:
    """The size as people read it, and the CPUs and memory that it stands for."""
    usual = SIZES[DEFAULT_SIZE].guest
    if layer.guest is not None:
        guest = known(layer.guest, usual)
        return f"{guest.cpu_kind} {guest.cpus} CPUs, {guest.memory_mb} MB", guest
    name = known(layer.size, DEFAULT_SIZE)
    guest = SIZES[name].guest
    memory = known(layer.memory, guest.memory_mb)
    if memory == guest.memory_mb:
        return name, guest
    return f"{name}, {memory} MB", replace(guest, memory_mb=memory)


def _parent(section: Section, layers: Mapping[str, object]) -> str | None:
    """The profile that this one extends; the empty name if none, None if it is not known."""
    written = section.text("extends")
    if written is None:
        return ""
    if written.value is None:
        return None
    if written.value in layers:
        return written.value
    unknown_profile(section.draft, written.path, written.value)
    return None


def unknown_profile(draft: Draft, path: Path, name: str) -> None:
    """Note that there is no profile of the name at `path`, unless all profiles are broken."""
    if not draft.is_known(("profiles",)):
        return
    hint = closest(name, draft.good_names("profiles"))
    draft.problem(path, "unknown-profile", f"no profile is called {draft.quoted(path)}", hint=hint)


def _resolve(
    name: str,
    own: Mapping[str, Section],
    read: Mapping[str, Layer],
    layers: dict[str, Layer],
) -> None:
    """Put this profile into `layers`, and before it the ancestors that are not there yet."""
    chain: list[str] = []
    at: str | None = name
    while at is not None and at not in layers and at not in chain:
        chain.append(at)
        at = _parent(own[at], own)
    if at in chain:
        _refuse_cycle(own, chain[chain.index(at) :])
        at = None
    below = layers[""] if at is None else layers[at]
    if at is None:
        below = replace(below, partial=True)
    for child in reversed(chain):
        below = layers[child] = on_top(read[child], below)


def _refuse_cycle(own: Mapping[str, Section], cycle: list[str]) -> None:
    section = own[cycle[0]]
    section.draft.problem(
        section.at("extends"),
        "extends-cycle",
        f"profile `{cycle[0]}` extends itself",
        hint=" extends ".join(f"`{name}`" for name in (*cycle, cycle[0])),
    )


def check_memory(draft: Draft, layer: Layer) -> None:
    """Note it in the draft if the layer's size and memory do not go together."""
    memory = layer.memory
    if memory is None or memory.value is None:
        return
    if layer.guest is not None:
        draft.problem(
            memory.path,
            "conflicting-keys",
            "`memory` only goes with a size given by name",
            hint=f"write `memory_mb` in `size` in {_line(draft, layer.guest, memory)}",
        )
        return
    name = DEFAULT_SIZE if layer.size is None else layer.size.value
    if name is None:
        return
    advice = memory_with_size(SIZES[name], memory.value)
    memory_text = draft.written(memory.path)
    if advice is not None:
        line = "the usual one" if layer.size is None else _line(draft, layer.size, memory)
        what = f"`memory` is {memory_text}, which does not go with the size {name} ({line})"
        draft.problem(memory.path, "memory-not-allowed", what, hint=advice)
    elif name.startswith("performance") and memory.value % _DOCUMENTED_STEP:
        what = f"`memory` is {memory_text}, between the steps that Fly documents"
        hint = "with performance CPUs these are 2gb; Fly may refuse the Machine"
        draft.warning(memory.path, "memory-step", what, hint=hint)


def _line(draft: Draft, there: Written[Guest] | Written[str], here: Written[int]) -> str:
    return draft.line(there.path, seen_from=here.path)
