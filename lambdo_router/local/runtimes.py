"""
The runtimes of `runtimes/` on this machine: what an image that is built on one of them would run.

On the embedded Machines API a folder stands for an image. An image built FROM the base image of a
runtime needs no command of its own: its CMD calls the function in /app/index.js, or whichever file
LAMBDO_HANDLER names. So does a folder here. If a Machine has no command, and its environment or its
folder a file that one of the runtimes takes, it runs that.
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
    """What its file is called, if nobody says otherwise; the endings are the language's."""


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
    """For LAMBDO_HANDLER: an image has it in /app, which is no folder of this machine."""


def runtime_for(handler: str) -> Runtime | None:
    """The runtime that takes a file of this name, by its ending."""
    ending = PurePosixPath(handler).suffix
    for runtime in RUNTIMES:
        if ending in {PurePosixPath(name).suffix for name in runtime.handlers}:
            return runtime
    return None


def handled_in(folder: Path, env: Mapping[str, str]) -> Handled | None:
    """
    What a Machine with this environment runs in this folder; None if no runtime has a file there.

    The file that LAMBDO_HANDLER names need not exist: the runtime says that best.
    """
    named = env.get(HANDLER, "").removeprefix(_IN_IMAGES)
    if named:
        runtime = runtime_for(named)
        return None if runtime is None else _handled(runtime, named)
    for runtime in RUNTIMES:
        for name in runtime.handlers:
            if (folder / name).is_file():
                return _handled(runtime, name)
    return None


def is_here(runtime: Runtime) -> bool:
    """Whether its interpreter is on this machine."""
    return shutil.which(runtime.interpreter) is not None


def _handled(runtime: Runtime, handler: str) -> Handled:
    file = _runtimes_folder() / runtime.name / runtime.file
    return Handled((runtime.interpreter, str(file)), handler)


def _runtimes_folder() -> Path:
    """In an installed package they lie inside it, in a checkout beside it."""
    package = Path(lambdo_router.__file__).parent
    inside = package / _FOLDER
    return inside if inside.is_dir() else package.parent / _FOLDER
