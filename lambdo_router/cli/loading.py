"""
Routes files for commands that only look at them.

A variable that is not set is no obstacle there: what it stands for stays as it is written.
"""

import os
from pathlib import Path

from lambdo_router.config.diagnostics import ConfigError
from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes
from lambdo_router.routing import RoutingTable


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


def sound(examined: Examined) -> LoadedRoutes:
    """What was found, if there is no error in it. Raises ConfigError."""
    compiled = examined.compiled
    if compiled is None or examined.errors:
        raise ConfigError(examined.diagnostics, examined.inputs)
    table = RoutingTable(examined.generation, compiled.queues, compiled.routes)
    return LoadedRoutes(
        table, examined.warnings, examined.inputs, compiled.places, examined.sources
    )


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
