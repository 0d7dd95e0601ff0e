"""
From a routes file to a routing table, or to everything that is wrong with it.

`examine_routes` never fails: it reads, checks and compiles, and says what it found. `load_routes`
is for whoever needs a table and can do nothing without one. Both read every file once, and the
generation is the digest of exactly what was read: the file, its schemas, and the values that the
environment gave.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lambdo_router.config.compile import Compiled, compile_document
from lambdo_router.config.compile_profiles import Fallbacks
from lambdo_router.config.diagnostics import ConfigError, Diagnostic
from lambdo_router.config.document import parse_document, source_lines
from lambdo_router.config.schema_files import SchemaFiles
from lambdo_router.config.variables import substitute
from lambdo_router.routing import RoutingTable

_MOST_READ = 16 * 1024 * 1024
"""Bytes. Routes files are far smaller, and a larger one is refused; but a device has no end."""


@dataclass(frozen=True, slots=True)
class LoadedRoutes:
    """A table that is fit to be run."""

    table: RoutingTable
    warnings: tuple[Diagnostic, ...]
    inputs: tuple[Path, ...]
    """Every file that the table came from: a change in any of them may change it."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of each file by its name in the diagnostics, for printing them."""

    @property
    def generation(self) -> str:
        """12 hexadecimal digits: equal if, and only if, nothing that was read has changed."""
        return self.table.generation


@dataclass(frozen=True, slots=True)
class Examined:
    """What a look at a routes file has shown."""

    readable: bool
    """False if there is no such file, or it cannot be read."""
    diagnostics: tuple[Diagnostic, ...]
    """Errors and warnings, by position."""
    inputs: tuple[Path, ...]
    """Every file that was read or looked for."""
    checked: tuple[str, ...] = ()
    """What was gone through: yaml, variables, shape, meaning, patterns, schemas."""
    compiled: Compiled | None = None
    """What the file means, as far as it is sound; None if it could not be understood as YAML."""
    generation: str = ""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep the file from being run."""
        return tuple(d for d in self.diagnostics if d.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that do not."""
        return tuple(d for d in self.diagnostics if d.severity == "warning")


def load_routes(
    path: Path,
    env: Mapping[str, str],
    *,
    missing: Literal["error", "warning"] = "error",
    default_app: str = "",
    default_region: str | None = None,
) -> LoadedRoutes:
    """
    The routing table of the file at `path`.

    Variables come from `env`; with `missing="warning"` those that are not set stay in the table as
    they are written, and a profile may be without an app. `default_app` and `default_region` are
    for profiles that name none. Raises ConfigError, with every problem and the inputs that were
    looked at, if there is an error.
    """
    examined = examine_routes(
        path, env, missing=missing, default_app=default_app, default_region=default_region
    )
    if examined.compiled is None or examined.errors:
        raise ConfigError(examined.diagnostics, examined.inputs)
    compiled = examined.compiled
    table = RoutingTable(examined.generation, compiled.queues, compiled.routes)
    return LoadedRoutes(table, examined.warnings, examined.inputs, examined.sources)


def examine_routes(
    path: Path,
    env: Mapping[str, str],
    *,
    missing: Literal["error", "warning"] = "error",
    default_app: str = "",
    default_region: str | None = None,
) -> Examined:
    """Everything that can be known of the file at `path`; arguments as for `load_routes`."""
    file = str(path)
    try:
        content = _read(path)
    except _Unreadable as error:
        problem = Diagnostic(file, 1, 1, error.code, str(error))
        return Examined(False, (problem,), (path,), sources={file: ()})
    written, unreadable = parse_document(content, file)
    if written is None:
        sources = {file: source_lines(content)}
        return Examined(True, tuple(sorted(unreadable)), (path,), ("yaml",), sources=sources)
    document, problems = substitute(written, env, missing=missing)
    schemas = SchemaFiles(path.parent)
    fallbacks = Fallbacks(default_app, default_region, app_required=missing == "error")
    compiled = compile_document(document, written, schemas.compile, fallbacks)
    fallback_values = {"app": default_app, "region": default_region}
    return Examined(
        readable=True,
        diagnostics=_merged(unreadable, {*problems, *compiled.diagnostics}),
        inputs=(path, *schemas.contents),
        checked=_checked(schemas),
        compiled=compiled,
        generation=_generation(content, schemas.contents, document.used, fallback_values),
        sources={file: document.lines},
    )


def _merged(
    unreadable: Sequence[Diagnostic], others: Collection[Diagnostic]
) -> tuple[Diagnostic, ...]:
    """All by position; where YAML itself was refused, what follows from that is not said too."""
    refused = {(problem.line, problem.column) for problem in unreadable}
    kept = [other for other in others if (other.line, other.column) not in refused]
    return tuple(sorted([*unreadable, *kept]))


def _checked(schemas: SchemaFiles) -> tuple[str, ...]:
    always = ("yaml", "variables", "shape", "meaning", "patterns")
    return (*always, "schemas") if schemas.contents else always


class _Unreadable(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _read(path: Path) -> bytes:
    """The file's bytes; of one that is far too large, enough to see that it is."""
    try:
        with path.open("rb") as file:
            return file.read(_MOST_READ)
    except FileNotFoundError:
        raise _Unreadable("file-not-found", "there is no such file") from None
    except IsADirectoryError:
        raise _Unreadable("file-is-a-folder", "this is a folder, not a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _Unreadable("file-not-readable", f"the file cannot be read: {reason}") from None


def _generation(
    content: bytes,
    schemas: Mapping[Path, bytes | None],
    variables: Mapping[str, str],
    fallbacks: Mapping[str, str | None],
) -> str:
    parts = [
        hashlib.sha256(content).hexdigest(),
        [hashlib.sha256(schema or b"").hexdigest() for schema in schemas.values()],
        dict(variables),
        dict(fallbacks),
    ]
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
