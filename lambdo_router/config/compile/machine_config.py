"""
The `machine` key: more of Fly's machine config, as the Machines API spells it.

It is checked against the API's own schema of a Machine config, so that a misspelt key is found
here and not by a launch that fails. What the router sets itself is refused: the image, size and
command have keys of their own, and a batch needs its files, its names in the environment and the
metadata, and a Machine that runs once and then goes away.
"""

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Section, without
from lambdo_router.config.read.shape import (
    MACHINE_CONFIG_SCHEMA,
    SchemaViolation,
    doubles,
    misfits,
    schema_text,
)
from lambdo_router.core.machine import BATCH_PATH, EVENTS_PATH

_ONCE = "the Machine of a batch runs once and is destroyed; remove it"
_OWNED: Mapping[Path, str] = {
    ("image",): "write the profile's key `image`",
    ("size",): "write the profile's key `size`",
    ("guest",): "write the profile's keys `size` and `memory`",
    ("auto_destroy",): _ONCE,
    ("restart",): _ONCE,
    ("schedule",): _ONCE,
    ("standbys",): _ONCE,
    ("init", "cmd"): "write the profile's key `command`",
    ("init", "exec"): "it would replace `command`; write `command`, and `init.entrypoint` with it",
    ("processes",): "the Machine of a batch runs one process; write the profile's key `command`",
    ("containers",): "the Machine of a batch runs one image; write the profile's key `image`",
    ("metadata", "fly_platform_version"): "with it `fly deploy` would take the Machine for its own",
    ("metadata", "fly_process_group"): "with it `fly deploy` would take the Machine for its own",
}
_OWNED_VARIABLES = frozenset({"EVENTS_PATH", "TRACEPARENT", "TRACESTATE"})
_OWNED_PREFIX = "LAMBDO_"
_FOR_RUNTIMES = ("LAMBDO_HANDLER", "LAMBDO_CONCURRENCY")
"""What a profile tells the runtimes of `runtimes/`: the router has nothing to say there."""
OWNED_VARIABLES_HINT = (
    "the names LAMBDO_*, EVENTS_PATH, TRACEPARENT and TRACESTATE are the router's, but for "
    + " and ".join(_FOR_RUNTIMES)
)


def is_owned_variable(name: str) -> bool:
    """Whether the router itself sets this environment variable in the Machines."""
    if name in _FOR_RUNTIMES:
        return False
    return name in _OWNED_VARIABLES or name.startswith(_OWNED_PREFIX)


def read_machine(section: Section) -> dict[str, object]:
    """
    The mapping at `machine`, as far as it is sound; empty if it is not written.

    Everything wrong with it is noted in the draft.
    """
    draft, root = section.draft, section.at("machine")
    value = doubles(section.value.get("machine"))
    if not isinstance(value, dict):
        return {}
    owned = dict(_owned(value))
    for path, hint in owned.items():
        what = f"{draft.describe((*root, *path))} is set by the router"
        draft.problem((*root, *path), "owned-by-router", what, on="key", hint=hint)
    broken: set[Path] = set()
    for misfit in misfits(value, MACHINE_CONFIG_SCHEMA, draft, root):
        inside = misfit.path[len(root) :]
        # What can't be set at all need not have the right shape as well.
        if not any(inside[: len(path)] == path for path in owned):
            draft.misfit(_without_owned(misfit, inside))
            if misfit.broken is not None:
                broken.add(misfit.broken[len(root) :])
    return without(value, broken) if broken else value


def _without_owned(misfit: SchemaViolation, inside: Path) -> SchemaViolation:
    """The misfit; of an unknown key, with a hint that offers only what may be written."""
    if misfit.code != "unknown-key" or len(inside) != 1:
        return misfit
    schema = json.loads(schema_text(MACHINE_CONFIG_SCHEMA))
    allowed = [key for key in schema["properties"] if (key,) not in _OWNED]
    return replace(misfit, hint=closest(str(inside[0]), allowed))


def _owned(value: Mapping[str, object]) -> Iterator[tuple[Path, str]]:
    """What the router sets itself: where it is written, and what to do instead."""
    for path, hint in _OWNED.items():
        container: object = value
        for step in path[:-1]:
            container = container.get(str(step)) if isinstance(container, dict) else None
        if isinstance(container, dict) and path[-1] in container:
            yield path, hint
    environment = value.get("env")
    for name in environment if isinstance(environment, dict) else ():
        if is_owned_variable(name):
            yield ("env", name), OWNED_VARIABLES_HINT
    metadata = value.get("metadata")
    for name in metadata if isinstance(metadata, dict) else ():
        if name.startswith("lambdo_"):
            yield ("metadata", name), "the names lambdo_* are the router's"
    files = value.get("files")
    for index, file in enumerate(files if isinstance(files, list) else ()):
        place = str(file.get("guest_path")) if isinstance(file, dict) else ""
        if posixpath.normpath("/" + place.lstrip("/")) in (EVENTS_PATH, BATCH_PATH):
            hint = f"{EVENTS_PATH} and {BATCH_PATH} carry the batch; choose another path"
            yield ("files", index, "guest_path"), hint
