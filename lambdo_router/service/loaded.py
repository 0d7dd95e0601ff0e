"""The fact that routes were loaded: where they are in the file, and what has changed."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core import journal
from lambdo_router.core.structured_log import structlog

if TYPE_CHECKING:  # imported where it is used: only a reload compares
    from lambdo_router.config.explain.comparison_text import MarkedLine

log = structlog.get_logger()


def places(loaded: LoadedRoutes) -> Mapping[str, str]:
    """`file:line` of each route."""
    found = {route.name: loaded.place_of(route.name) for route in loaded.table.routes}
    return {name: f"{place.file}:{place.line}" for name, place in found.items()}


async def loaded_fact(before: LoadedRoutes, loaded: LoadedRoutes) -> journal.RoutesLoaded:
    """Return the fact that `loaded` is valid, with the changes from the table `before` it."""
    # In a thread: comparing ten thousand routes takes a while, and must not delay messages.
    return await asyncio.to_thread(_loaded_fact, before, loaded)


def _loaded_fact(before: LoadedRoutes, loaded: LoadedRoutes) -> journal.RoutesLoaded:
    warnings = tuple(map(str, loaded.warnings))
    changes = _changes(before, loaded)
    return journal.RoutesLoaded(loaded.generation, warnings, places(loaded), changes)


def _changes(before: LoadedRoutes, loaded: LoadedRoutes) -> tuple[str, ...]:
    from lambdo_router.config.explain.compare import compare
    from lambdo_router.config.explain.comparison_text import lines

    try:
        comparison = compare(before, loaded)
    except Exception as error:
        # A valid table must be used even if it cannot be compared with another.
        log.exception("routes.compare_crashed")
        return (f"what is different could not be told ({type(error).__name__})",)
    if not comparison:
        return ()
    names = (before.generation, loaded.generation)
    return tuple(_text(line) for line in lines(comparison, (), names, 0) if line.text)


def _text(line: "MarkedLine") -> str:
    return f"{line.indent}{line.mark} {line.text}" if line.mark else f"{line.indent}{line.text}"
