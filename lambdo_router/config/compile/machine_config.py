"""
The `machine` key: more of Fly's machine config, as the Machines API spells it.

It is checked against the API's own schema, so that a misspelt key is found here and not by a failed
launch. What the router sets itself is refused: image, size and command have keys of their own, and
a batch needs its files, its environment variables and metadata, and a Machine that runs once.
"""

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path, doubles
from lambdo_router.config.read.draft import without
from lambdo_router.config.read.nodes import Node, Section
from lambdo_router.config.read.shape import MACHINE_CONFIG_SCHEMA, schema_text
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
"""Settings of the runtimes in `runtimes/`, which the router does not set."""
OWNED_VARIABLES_HINT = (
    "the names LAMBDO_*, EVENTS_PATH, TRACEPARENT and TRACESTATE are the router's, except "
    + " and ".join(_FOR_RUNTIMES)
)


def is_owned_variable(name: str) -> bool:
    """Return whether the router itself sets this environment variable in Machines."""
    if name in _FOR_RUNTIMES:
        return False
    return name in _OWNED_VARIABLES or name.startswith(_OWNED_PREFIX)


def read_machine(section: Section) -> tuple[Node[Mapping[str, object]], ...]:
    """Return the mapping at `machine`, as far as it is valid; nothing if it is not written."""
    draft, root = section.draft, section.at("machine")
    value = doubles(section.get("machine"))
    if not isinstance(value, dict) or not value:
        return ()
    owned = dict(_owned(value))
    for path, hint in owned.items():
        what = f"{draft.describe((*root, *path))} is set by the router"
        draft.problem((*root, *path), "owned-by-router", what, on="key", hint=hint)
    broken: set[Path] = set()
    for violation in draft.violations(root, value, MACHINE_CONFIG_SCHEMA):
        inside = violation.path[len(root) :]
        # What cannot be set at all need not have the right shape as well.
        if any(inside[: len(path)] == path for path in owned):
            continue
        if violation.code == "unknown-key" and len(inside) == 1:
            known = json.loads(schema_text(MACHINE_CONFIG_SCHEMA))["properties"]
            hint = closest(str(inside[0]), [key for key in known if (key,) not in _OWNED])
            violation = replace(violation, hint=hint)  # noqa: PLW2901 - what may be written
        draft.violation(violation)
        if violation.broken is not None:
            broken.add(violation.broken[len(root) :])
    return (Node(draft, root, without(value, broken) if broken else value),)


def _owned(value: Mapping[str, object]) -> Iterator[tuple[Path, str]]:
    """Yield where something is written that the router sets itself, and what to do instead."""
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
