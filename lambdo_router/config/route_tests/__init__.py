"""
Tests of a routes file: a message, and what the router should do with it.

Tests are written under `tests` in the routes file, or in a `*.test.yaml` file. reading.py reads
them and checks each one by itself; `check_names` checks the queues and routes they name against the
routing table. `lambdo-router test` runs them (cli/test). Texts of tests are taken literally:
`${NAME}` in a message is what the sender wrote.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from lambdo_router.config.diagnostics import Diagnostic, Place, closest
from lambdo_router.config.read.document import Document
from lambdo_router.config.read.files import link_out
from lambdo_router.core.message import Message
from lambdo_router.core.routing import RoutingTable

TESTS_SCHEMA = "tests.schema.json"
ENDINGS = (".test.yaml", ".test.yml")
"""Endings of the names of test files."""
NOUN = "the test file"
"""What messages call a test file."""
ROUTES = "routes.yaml"
"""The default name of a routes file."""


@dataclass(frozen=True, slots=True)
class RouteTest:
    """One test. It passes if every entry of `wanted` and of `batch_with` holds."""

    name: str
    place: Place
    queue: str
    message: Message
    wanted: Mapping[str, object]
    """
    Expected values by field, in the order of the file, as JSON: `route`, `image`, `size` (a name,
    or CPUs and memory in full), `command`, `env.NAME`, `app`, `region`, `rejected`, `policy`,
    `detail`.
    """
    batch_with: tuple[str, ...] = ()
    """Names of tests of the same file whose events may share a batch with this one's."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Values of the variables of the routes file."""
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    """Places of `queue`, `body` and, if it is expected, `route`."""


def routes_of(file: Document) -> FilePath | None:
    """
    Return the routes file that the tests are for: the one they name, or one beside them.

    Beside `x.test.yaml` that is `x.yaml`, else routes.yaml. None if it does not exist, or if a link
    leads the named path out of its folder.
    """
    folder, named = file.path.parent, _named_routes(file)
    if isinstance(named, str) and named:
        candidates = [named] if link_out(folder, folder / named) is None else []
    else:
        stem = _stem(file)
        candidates = [f"{stem}.yaml", f"{stem}.yml", ROUTES]
    return next((folder / name for name in candidates if (folder / name).exists()), None)


def no_routes(file: Document) -> Diagnostic:
    """Return the diagnostic for a test file whose routes file does not exist."""
    folder, named = file.path.parent, _named_routes(file)
    if isinstance(named, str) and named and (link := link_out(folder, folder / named)) is not None:
        what, hint = f"the link `{link}` leads out of the folder of the path", "copy the file there"
    elif named is not None:
        what, hint = f"there is no file `{named}`", "the path is relative to this file"
    else:
        what = f"there is neither {_stem(file)}.yaml nor {ROUTES} beside this file"
        hint = "name the routes file to test: `routes: ../routes.yaml`"
    return file.diagnostic(("routes",), "no-routes-file", what, hint=hint)


def _named_routes(file: Document) -> object:
    """Return what is written at `routes`, whatever its type; None if nothing is."""
    return file.as_written(("routes",)) if file.is_written(("routes",)) else None


def _stem(file: Document) -> str:
    name = file.path.name
    return next((name.removesuffix(it) for it in ENDINGS if name.endswith(it)), file.path.stem)


def check_names(tests: Iterable[RouteTest], table: RoutingTable) -> Iterator[Diagnostic]:
    """Yield a diagnostic for every queue and route that a test names and the table lacks."""
    routes = [route.name for route in table.routes]
    sources = [queue.name for queue in table.sources()]
    for test in tests:
        if test.queue not in table.queues:
            what, hint = f"no queue is called `{test.queue}`", closest(test.queue, table.queues)
            yield test.places["queue"].diagnose("unknown-queue", what, hint=hint)
        elif test.queue not in sources:
            what = f"no route reads queue `{test.queue}`, so the router never receives from it"
            hint = closest(test.queue, sources)
            yield test.places["queue"].diagnose("queue-not-read", what, hint=hint)
        route = test.wanted.get("route")
        if isinstance(route, str) and route not in routes:
            what = f"no route is called `{route}`"
            yield test.places["route"].diagnose("unknown-route", what, hint=closest(route, routes))
