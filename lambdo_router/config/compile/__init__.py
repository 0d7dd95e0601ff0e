"""
From documents to queues and routes: read this first.

The draft has checked the shape. Meaning follows, from what depends on nothing to what depends on
everything: queues, profiles, routes, and last what only shows over the whole file (here). Every
step notes problems in the draft and continues, so that one run reports them all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lambdo_router.config.compile.profiles import Fallbacks, read_profiles
from lambdo_router.config.compile.queues import compile_queues
from lambdo_router.config.compile.routes import RouteCompiler
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.lint.profiles import lint_profiles
from lambdo_router.config.lint.routes import lint_routes
from lambdo_router.config.read.document import Document, Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.places import Places
from lambdo_router.core.patterns import Index
from lambdo_router.core.routing import Queue, Route
from lambdo_router.core.schemas import EventSchema


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a routes file means. A RoutingTable may be made of it if no diagnostic is an error."""

    queues: Mapping[str, Queue]
    routes: tuple[Route, ...]
    indexes: Mapping[str, Index]
    """Of the routes of each queue; without a route whose match is not known."""
    profiles: int
    """How many the file defines."""
    diagnostics: tuple[Diagnostic, ...]
    """Every problem of shape and meaning, by position."""
    places: Places
    """Where each route, and what it is made of, is written."""


def compile_routes(
    documents: Sequence[Document],
    read_schema: Callable[[Draft, Path, str], EventSchema | None],
    fallbacks: Fallbacks,
    *,
    complete: bool = True,
) -> Compiled:
    """
    Check a routes file, and what it includes, as a whole and put it into values.

    `read_schema` compiles the schema file that the text at a path names, and notes its problems in
    the draft. `complete` is False if an included file could not be read.
    """
    draft = Draft(documents, complete=complete)
    queues = compile_queues(draft)
    layers = read_profiles(draft)
    compiler = RouteCompiler(draft, queues, layers, fallbacks, read_schema)
    routes = tuple(compiler.route(section) for section in draft.routes())
    _warn_of_reject_loops(draft, queues, routes)
    indexes: dict[str, Index] = {}
    for problem in lint_routes(draft, routes, indexes):
        draft.note(problem)
    for warning in lint_profiles(draft, routes, compiler.route_layers):
        draft.note(warning)
    places = Places(draft, {"app": fallbacks.app or None, "region": fallbacks.region})
    profiles = len(draft.names("profiles"))
    return Compiled(queues, routes, indexes, profiles, draft.problems, places)


def _warn_of_reject_loops(
    draft: Draft, queues: Mapping[str, Queue], routes: tuple[Route, ...]
) -> None:
    readers: dict[str | None, int] = {}
    for index, route in enumerate(routes):
        for name in route.queues:
            readers.setdefault(name, index)
    for queue in queues.values():
        if queue.reject_to in readers:
            draft.problem(
                ("queues", queue.name, "reject_to"),
                "reject-queue-is-read",
                f"{draft.describe(('routes', readers[queue.reject_to]))} reads "
                f"`{queue.reject_to}`, where queue `{queue.name}` moves its rejected messages",
                severity="warning",
                hint="messages that are rejected there too may circulate forever",
            )
