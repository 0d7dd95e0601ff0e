"""
The runtimes of `runtimes/` on this machine: what an image that is built on one of them would run.

On the embedded Machines API a folder stands for an image. An image built FROM the base image of a
runtime needs no command of its own: its CMD calls the function in /app/index.js, or whichever file
LAMBDO_HANDLER names. So does a folder here, for a Machine without a command.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import lambdo_router

HANDLER: Final = "LAMBDO_HANDLER"
_IN_IMAGES: Final = "/app/"
_FOLDER: Final = "runtimes"


@dataclass(frozen=True, slots=True)
class Runtime:
    """One of the runtimes."""

    name: str
    interpreter: str
    file: str
    handlers: tuple[str, ...]
    """What the function's file is called by default; the endings are the language's."""


RUNTIMES: Final = (
    Runtime("node", "node", "runtime.mjs", ("index.js", "index.mjs", "index.cjs")),
    Runtime("php", "php", "runtime.php", ("index.php",)),
    Runtime("python", "python3", "runtime.py", ("main.py",)),
)


@dataclass(frozen=True, slots=True)
class Handled:
    """What to run in place of the CMD of an image that is built on a runtime."""

    command: tuple[str, ...]
    handler: str
    """For LAMBDO_HANDLER: an image has it in /app, which this machine does not."""


def runtime_for(handler: str) -> Runtime | None:
    """Return the runtime that takes a file of this name, by its ending."""
    ending = PurePosixPath(handler).suffix
    for runtime in RUNTIMES:
        if ending in {PurePosixPath(name).suffix for name in runtime.handlers}:
            return runtime
    return None


def handled_in(folder: Path, env: Mapping[str, str]) -> Handled | None:
    """
    Return what a Machine with this environment runs in this folder; None if no runtime fits.

    The file that LAMBDO_HANDLER names need not exist: the runtime reports that best.
    """
    named = env.get(HANDLER, "").removeprefix(_IN_IMAGES)
    defaults = (name for runtime in RUNTIMES for name in runtime.handlers)
    handler = named or next((name for name in defaults if (folder / name).is_file()), "")
    runtime = runtime_for(handler)
    if runtime is None:
        return None
    # In an installed package the runtimes are inside it, in a checkout beside it.
    package = Path(lambdo_router.__file__).parent
    inside = package / _FOLDER
    runtimes = inside if inside.is_dir() else package.parent / _FOLDER
    file = runtimes / runtime.name / runtime.file
    return Handled((runtime.interpreter, str(file)), handler)


def is_here(runtime: Runtime) -> bool:
    """Return whether its interpreter is on this machine."""
    return shutil.which(runtime.interpreter) is not None
