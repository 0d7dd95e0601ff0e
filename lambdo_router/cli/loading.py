"""
Load routes files for commands that only inspect them.

There, a variable that is not set is only a warning: its reference stays in the text as written.
"""

import os
from pathlib import Path
from typing import Literal

from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes, sound


def load_leniently(path: Path, content: bytes | None = None) -> LoadedRoutes:
    """Load the file at `path`, or its `content` if given. Raises ConfigError for its errors."""
    return sound(examine(path, content))


def examine(
    path: Path,
    content: bytes | None = None,
    *,
    missing: Literal["error", "warning"] = "warning",
) -> Examined:
    """Load the file with all of its diagnostics; app and region default to those of `run`."""
    return examine_routes(
        path,
        os.environ,
        missing=missing,
        default_app=_variable("LAMBDO_FLY_APP") or _variable("FLY_APP_NAME"),
        default_region=_variable("LAMBDO_FLY_REGION") or _variable("FLY_REGION") or None,
        content=content,
    )


def _variable(name: str) -> str:
    return os.environ.get(name, "").strip()
