"""
From a routes file to a routing table, or to everything that is wrong with it.

`examine_routes` never fails: it reads, checks, compiles, and returns what it found. `load_routes`
is for callers that need a table. Both read every file once, and the generation is the digest of
exactly what was read: the file, those that it includes, the schemas, and the values that the
environment gave.
"""

import gc
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypedDict, Unpack

from lambdo_router.config.compile import Compiled, compile_routes
from lambdo_router.config.compile.profiles import Fallbacks
from lambdo_router.config.diagnostics import ConfigError, Diagnostic, Place
from lambdo_router.config.lint.suppress import without_ignored
from lambdo_router.config.read.files import Mirror
from lambdo_router.config.read.freeing import free_in_pieces
from lambdo_router.config.read.include import RoutesFiles
from lambdo_router.config.read.places import Origin, Places
from lambdo_router.config.read.schema_files import SchemaFiles
from lambdo_router.core.routing import RoutingTable


@dataclass(frozen=True, slots=True)
class LoadedRoutes:
    """A table that can be run."""

    table: RoutingTable
    warnings: tuple[Diagnostic, ...]
    inputs: tuple[Path, ...]
    """Every file that the table came from: a change in any of them may change it."""
    places: Places = field(repr=False)
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of each file by its name in the diagnostics, for printing them."""

    @property
    def generation(self) -> str:
        """12 hexadecimal digits: equal if, and only if, nothing that was read has changed."""
        return self.table.generation

    def place_of(self, route: str, *path: str | int) -> Place:
        """Return where this part of a route's entry is written; see `Places.place_of`."""
        return self.places.place_of(route, *path)

    def origins(self, route: str) -> Mapping[str, Origin]:
        """Return where each value of the route's profile comes from; see `Places.origins`."""
        return self.places.origins(route)


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a routes file."""

    readable: bool
    """False if the file does not exist or cannot be read."""
    diagnostics: tuple[Diagnostic, ...]
    """Errors and warnings, by position."""
    inputs: tuple[Path, ...]
    """Every file that was read or looked for."""
    checked: tuple[str, ...] = ()
    """What was checked: yaml, variables, shape, meaning, patterns, schemas."""
    compiled: Compiled | None = None
    """What the file means, as far as it is valid; None if it is not YAML."""
    generation: str = ""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    @property
    def places(self) -> Places | None:
        """Where everything is written, as far as the file is valid; None if it is not YAML."""
        return None if self.compiled is None else self.compiled.places

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep the file from being run."""
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that do not."""
        return tuple(d for d in self.diagnostics if d.severity == "warning")


class LoadOptions(TypedDict, total=False):
    """Optional arguments of `load_routes` and `examine_routes`."""

    missing: Literal["error", "warning"]
    """
    The severity of a variable that is not set, by default an error. With `warning` they stay in the
    table as they are written, and a profile may be without an app.
    """
    default_app: str
    """For profiles that name none."""
    default_region: str | None
    content: bytes | None
    """Used instead of reading the file."""
    mirror: Mirror | None
    """Contains the file, if it was fetched from elsewhere."""


def load_routes(path: Path, env: Mapping[str, str], **options: Unpack[LoadOptions]) -> LoadedRoutes:
    """
    Return the routing table of the file at `path`, with variables from `env`.

    Raises ConfigError, with every problem and the inputs, if there is an error.
    """
    return sound(examine_routes(path, env, **options))


def sound(examined: Examined) -> LoadedRoutes:
    """Return the table of a file without errors. Raises ConfigError."""
    compiled = examined.compiled
    if compiled is None or examined.errors:
        raise ConfigError(examined.diagnostics, examined.inputs, examined.sources)
    table = RoutingTable(examined.generation, compiled.queues, compiled.routes, compiled.indexes)
    free_in_pieces(table, table.routes)
    return LoadedRoutes(
        table, examined.warnings, examined.inputs, compiled.places, examined.sources
    )


def examine_routes(path: Path, env: Mapping[str, str], **options: Unpack[LoadOptions]) -> Examined:
    """Return everything that is known of the file at `path`, with variables from `env`."""
    missing, mirror = options.get("missing", "error"), options.get("mirror")
    app, region = options.get("default_app", ""), options.get("default_region")
    fallbacks = Fallbacks(app, region, app_required=missing == "error")
    files, schemas = RoutesFiles(env, missing, mirror), SchemaFiles(path.parent, mirror)
    with _collector_paused():
        files.read(path, options.get("content"))
        inputs, sources = tuple(files.inputs), files.sources
        if not files.documents:
            checked = _CHECKED[:1] if files.readable else ()
            problems = tuple(sorted(files.problems))
            return Examined(files.readable, problems, inputs, checked, sources=sources)
        compiled = compile_routes(
            files.documents, schemas.compile, fallbacks, complete=files.complete
        )
        draft = compiled.places.draft
        free_in_pieces(draft, (*compiled.routes, *draft.entries()))
        # Where YAML itself was refused, other problems are consequences.
        found = [d for d in compiled.diagnostics if (d.file, d.line, d.column) not in files.refused]
        return Examined(
            readable=True,
            diagnostics=without_ignored({*found, *files.problems}, sources),
            inputs=(*inputs, *schemas.contents),
            checked=_CHECKED if schemas.contents else _CHECKED[:-1],
            compiled=compiled,
            generation=_generation(files, schemas, fallbacks),
            sources=sources,
        )


_CHECKED = ("yaml", "variables", "shape", "meaning", "patterns", "schemas")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """
    Pause garbage collection.

    A large file becomes a million objects that all stay, and the collector of cycles would go over
    them again and again: a third of the time. Nor does it go over them afterwards, which would
    stop a running router for 0.16 s at 1,000 routes. They are still freed when nothing refers to
    them any more: a table has no cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()


def _generation(files: RoutesFiles, schemas: SchemaFiles, fallbacks: Fallbacks) -> str:
    parts = [
        [hashlib.sha256(content).hexdigest() for content in files.contents],
        [hashlib.sha256(schema or b"").hexdigest() for schema in schemas.contents.values()],
        {name: text for document in files.documents for name, text in document.used.items()},
        {"app": fallbacks.app, "region": fallbacks.region},
    ]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
