"""
From `profiles` of a routes file to what a route's Machines are made from.

A profile consists of the defaults, then the chain of `extends` with the furthest ancestor first,
then its own keys. What only shows when these are together is checked here: memory that does not fit
the size, and what is missing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from lambdo_router.config.compile.layers import (
    Layer,
    is_in_full,
    memory_with_size,
    merged,
    on_top,
    read_layer,
)
from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Node, Section, known
from lambdo_router.core.profile import DEFAULT_SIZE, SIZES, Guest, Profile

T = TypeVar("T")

DEFAULT_BATCH_SIZE = 10
DEFAULT_TIMEOUT = 900.0
"""Seconds."""
_DOCUMENTED_STEP = 2048
"""MB. Fly's guide names it for performance CPUs; its own tools accept half of it."""


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """What the environment sets for profiles that do not set it."""

    app: str = ""
    region: str | None = None
    app_required: bool = True
    """Whether a profile needs an app: the file is to be run, not only checked."""


def read_profiles(draft: Draft) -> dict[str, Layer]:
    """
    Return every profile of the file by name, on top of all that it inherits.

    The defaults are there under the empty name.
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
    """Return the layer that this profile is put on top of: its parent's, else the defaults."""
    parent = _parent(section, layers)
    return layers[""] if parent is None else layers[parent]


def complete(draft: Draft, layer: Layer, name: str, place: Path, fallbacks: Fallbacks) -> Profile:
    """
    Return the profile that a route uses. A missing app is noted at the key of `place`.

    An image may be missing: senders may have to name one.
    """
    written = layer.get("app")
    apps = (fallbacks.app,) if written is None else written.value or ("",)
    if not apps[0] and written is None and not layer["partial"] and fallbacks.app_required:
        at, of_route = (place[:2], "the profile of ") if place[0] == "routes" else (place, "")
        draft.problem(
            place,
            "no-app",
            f"{of_route}{draft.describe(at)} names no Fly app",
            on="key",
            hint="write `app`, here or in `defaults`, or set LAMBDO_FLY_APP",
        )
    size, guest = _size_and_guest(layer)
    machines, attempts = layer.get("max_machines"), layer.get("max_attempts")
    profile = Profile(
        name=name,
        app=apps[0],
        image=_text(layer.get("image")),
        size=size,
        guest=guest,
        region=_text(layer.get("region")) or fallbacks.region,
        command=known(layer.get("command"), ()) or None,
        env=_variables(layer),
        batch_size=known(layer.get("batch_size"), DEFAULT_BATCH_SIZE),
        batch_window=known(layer.get("batch_window"), 0.0),
        batch_bytes=known(layer.get("batch_bytes"), 512 * 1024),
        acknowledge=(
            "launch" if known(layer.get("acknowledge"), "success") == "launch" else "success"
        ),
        timeout=known(layer.get("timeout"), DEFAULT_TIMEOUT),
        max_machines=None if machines is None else machines.value,
        max_attempts=None if attempts is None else attempts.value,
        machine=_machine(layer),
        more_apps=apps[1:],
    )
    masked = replace(
        profile,
        image=_masked(layer.get("image"), profile.image),
        command=tuple(_masked(layer.get("command"), list(profile.command or ()))) or None,
        env=_variables(layer, as_written=True),
        machine=_machine(layer, as_written=True),
    )
    return profile if masked == profile else replace(profile, masked=masked)


def _variables(layer: Layer, *, as_written: bool = False) -> tuple[tuple[str, str], ...]:
    env = merged(layer.get("env", ()), as_written=as_written)
    return tuple(sorted((name, str(value)) for name, value in env.items()))


def _machine(layer: Layer, *, as_written: bool = False) -> str:
    machine = merged(layer.get("machine", ()), as_written=as_written)
    return json.dumps(machine, sort_keys=True, separators=(",", ":"))


def _masked(node: Node[str | None] | Node[tuple[str, ...] | None] | None, value: T) -> T:
    """Return the value with variables as they are written."""
    return value if node is None else node.draft.masked(node.path, value)


def _text(node: Node[str | None] | None) -> str:
    """Return the text, as written where a variable is not set; empty if there is none."""
    if node is None:
        return ""
    return node.value if node.value is not None else str(node.draft.written(node.path))


def _size_and_guest(layer: Layer) -> tuple[str, Guest]:
    """Return the size as people read it, and the CPUs and memory that it stands for."""
    if is_in_full(layer):
        full = layer["size"].value
        guest = full if isinstance(full, Guest) else SIZES[DEFAULT_SIZE].guest
        return f"{guest.cpu_kind} {guest.cpus} CPUs, {guest.memory_mb} MB", guest
    written = layer.get("size")
    name = str(DEFAULT_SIZE if written is None else written.value or DEFAULT_SIZE)
    guest = SIZES[name].guest
    memory = known(layer.get("memory"), guest.memory_mb)
    if memory == guest.memory_mb:
        return name, guest
    return f"{name}, {memory} MB", replace(guest, memory_mb=memory)


def _parent(section: Section, layers: Mapping[str, object]) -> str | None:
    """Return the profile that this one extends; empty if none, None if it is not known."""
    node = section.text("extends")
    if node is None:
        return ""
    if node.value is None:
        return None
    if node.value in layers:
        return node.value
    unknown_profile(section.draft, node.path, node.value)
    return None


def unknown_profile(draft: Draft, path: Path, name: str) -> None:
    """Note that there is no profile of the name at `path`, unless all profiles are broken."""
    if draft.is_known(("profiles",)):
        hint = closest(name, draft.good_names("profiles"))
        what = f"no profile is called {draft.quoted(path)}"
        draft.problem(path, "unknown-profile", what, hint=hint)


def _resolve(
    name: str,
    own: Mapping[str, Section],
    read: Mapping[str, Layer],
    layers: dict[str, Layer],
) -> None:
    """Put this profile into `layers`, and before it those of its ancestors that are missing."""
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
        below = {**below, "partial": True}
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
    """Note a memory that does not fit the layer's size."""
    memory, size = layer.get("memory"), layer.get("size")
    if memory is None or memory.value is None:
        return
    line = "the default" if size is None else draft.line(size.path, seen_from=memory.path)
    if is_in_full(layer):
        what = "`memory` only goes with a size given by name"
        memory.report("conflicting-keys", what, f"write `memory_mb` in `size` in {line}")
        return
    name = DEFAULT_SIZE if size is None else size.value
    if not isinstance(name, str):
        return
    advice = memory_with_size(SIZES[name], memory.value)
    shown = draft.written(memory.path)
    if advice is not None:
        what = f"`memory` is {shown}, which does not fit the size {name} ({line})"
        memory.report("memory-not-allowed", what, advice)
    elif name.startswith("performance") and memory.value % _DOCUMENTED_STEP:
        what = f"`memory` is {shown}, between the steps that Fly documents"
        hint = "with performance CPUs these are 2gb; Fly may refuse the Machine"
        memory.warning("memory-step", what, hint)
