"""`--version`: what is installed, and which routes files it reads."""

import hashlib
import json
import platform

from lambdo_router import __version__


def version_text() -> str:
    """
    Return one line with the version, the routes file's `version`, and a digest of its schema.

    Installations with the same digest accept the same routes files.
    """
    from lambdo_router.config.read.shape import ROUTES_SCHEMA, schema_text

    schema = schema_text(ROUTES_SCHEMA)
    routes = json.loads(schema)["properties"]["version"]["const"]
    generation = hashlib.sha256(schema.encode()).hexdigest()[:12]
    return (
        f"lambdo-router {__version__} (routes file version {routes}, schema {generation}, "
        f"Python {platform.python_version()})"
    )
