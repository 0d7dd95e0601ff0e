"""Routes files as texts, for the tests of their compiler."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Literal

from lambdo_router.config.compile import Compiled, compile_routes
from lambdo_router.config.compile.profiles import Fallbacks
from lambdo_router.config.read.schema_files import SchemaFiles
from lambdo_router.config.read.variables import substitute
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.core.routing import Queue, Route


def compiled(
    text: str,
    env: Mapping[str, str] | None = None,
    *,
    missing: Literal["error", "warning"] = "error",
    fallbacks: Fallbacks | None = None,
    folder: Path = Path(),
) -> Compiled:
    """What the compiler makes of this text; variables come from `env`."""
    written = read_document(dedent(text), "routes.yaml", folder / "routes.yaml")
    document, _ = substitute(written, env or {}, missing=missing)
    return compile_routes([document], SchemaFiles().compile, fallbacks or Fallbacks())


def reported(result: Compiled) -> list[str]:
    """Every diagnostic as `line:column code`."""
    return [f"{d.line}:{d.column} {d.code}" for d in result.diagnostics]


QUEUES = """
version: 1
queues:
  orders: {name: orders, reject_to: rejected}
  rejected: {name: rejected}
"""
DEFAULTS = "defaults: {app: acme, image: nginx:1, acknowledge: launch}\n"
ROUTES = "routes: [{name: r, queue: orders, profile: p}]\n"


def queue_of(keys: str) -> Queue:
    """The queue `q` with these keys, in a file that is right otherwise."""
    result = compiled(
        f"version: 1\nqueues: {{q: {{{keys}}}, r: {{name: rejected}}}}\n{DEFAULTS}"
        "profiles: {p: {}}\nroutes: [{name: r, queue: q, profile: p}]\n"
    )
    assert [d for d in result.diagnostics if d.severity == "error"] == []
    return result.queues["q"]


def route_of(keys: str, profiles: str = "p: {}", folder: Path = Path()) -> Route:
    """The route `r` of queue `orders` with these keys, in a file that is right otherwise."""
    text = (
        f"{QUEUES}{DEFAULTS}profiles: {{{profiles}}}\nroutes: [{{name: r, queue: orders, {keys}}}]"
    )
    result = compiled(text, folder=folder)
    assert [d for d in result.diagnostics if d.severity == "error"] == []
    return result.routes[0]
