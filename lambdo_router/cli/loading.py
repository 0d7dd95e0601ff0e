"""
Routes files for commands that only look at them.

A variable that is not set is no obstacle there: what it stands for stays as it is written.
"""

import os
from pathlib import Path

from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes, sound


def look_at(path: Path, content: bytes | None = None) -> LoadedRoutes:
    """
    The routes of the file at `path`, which holds `content` if that is given.

    Raises ConfigError if there is an error in it.
    """
    return sound(examine(path, content))


def examine(path: Path, content: bytes | None = None) -> Examined:
    """The same with everything that is wrong; app and region are those that `run` would take."""
    return examine_routes(
        path,
        os.environ,
        missing="warning",
        default_app=_variable("LAMBDO_FLY_APP") or _variable("FLY_APP_NAME"),
        default_region=_variable("LAMBDO_FLY_REGION") or _variable("FLY_REGION") or None,
        content=content,
    )


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
