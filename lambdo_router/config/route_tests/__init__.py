"""
Tests of a routes file: a message, and what is to become of it.

They stand under `tests` in the routes file, or in a file *.test.yaml of their own. Reading checks
what can be known of a test by itself; whether the queues and routes that it names exist is checked
against the routing table (`check_names`). Then `lambdo-router test` lets each message take its way
(cli/testing.py). Texts of tests are taken as they are: a `${NAME}` in a message is what the sender
wrote.
"""

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

from lambdo_router.config.diagnostics import Diagnostic, closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.files import link_out
from lambdo_router.config.read.parts import Part
from lambdo_router.config.read.places import Place
from lambdo_router.config.read.shape import misfits, value_at
from lambdo_router.config.route_tests.message import Findings, read_test_message
from lambdo_router.core.message import Message
from lambdo_router.core.routing import RoutingTable

TESTS_SCHEMA = "tests.schema.json"
ENDINGS = (".test.yaml", ".test.yml")
"""Of the names of files with tests."""
ROUTES = "routes.yaml"
"""The name of a routes file that goes without saying."""

_OF_A_MACHINE: Final = ("image", "size", "command", "env", "app", "region", "batch_with")
_OF_A_REJECTION: Final = ("policy", "detail")
_BODIES: Final = ("file", "body", "body_text", "body_file")
_WITHOUT_A_ROUTE: Final = ("not_json", "unmatched")


@dataclass(frozen=True, slots=True)
class RouteTest:
    """One test. What it expects holds if every entry of `wanted` and of `batch_with` does."""

    name: str
    place: Place
    """Where it is written."""
    queue: str
    message: Message
    wanted: Mapping[str, object]
    """
    By field, in the order of the file, as JSON: `route`, `image`, `size` (a name, or CPUs and
    memory in full), `command`, `env.NAME`, `app`, `region`, `rejected`, `policy`, `detail`.
    """
    batch_with: tuple[str, ...] = ()
    """Names of tests of the same file whose events may share a batch with this one's."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What the variables of the routes file stand for."""
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)
    """Of `queue`, `body` and every field of `wanted`."""


@dataclass(frozen=True, slots=True)
class ReadTests:
    """What is written in one file: the tests that are sound, and what is wrong with the others."""

    tests: tuple[RouteTest, ...]
    diagnostics: tuple[Diagnostic, ...]


class TestsFile(Part):
    """A file *.test.yaml."""

    __slots__ = ()
    __test__ = False  # pytest takes whatever is called Test... for a class of tests

    def describe(self, path: Path) -> str:
        """What people call the thing at `path`."""
        return Part.describe(self, path) if path else "the file with tests"


def routes_of(file: TestsFile) -> FilePath | None:
    """
    The routes file that the tests are for: the one that is named, or one beside them.

    Beside `x.test.yaml` that is `x.yaml`, else routes.yaml. None if there is none, or if a link
    leads the named one out of its folder.
    """
    folder, named = file.path.parent, _at(file, "routes")
    if isinstance(named, str) and named:
        candidates = [named] if _link(file, named) is None else []
    else:
        stem = _stem(file)
        candidates = [f"{stem}.yaml", f"{stem}.yml", ROUTES]
    return next((folder / name for name in candidates if (folder / name).exists()), None)


def no_routes(file: TestsFile) -> Diagnostic:
    """What to say of tests whose routes file is not there."""
    named = _at(file, "routes")
    if isinstance(named, str) and (link := _link(file, named)) is not None:
        what = f"the link `{link}` leads out of the folder that the path names"
        hint = "copy the routes file there"
    elif file.is_written(("routes",)):
        what = f"there is no file `{_at(file, 'routes')}`"
        hint = "the path is relative to this file"
    else:
        what = f"there is neither {_stem(file)}.yaml nor {ROUTES} beside this file"
        hint = "name the routes file that is tested: `routes: ../routes.yaml`"
    return file.document.diagnostic(("routes",), "no-routes-file", what, hint=hint)


def _link(file: TestsFile, named: str) -> str | None:
    """The link that leads this path, as it is written in the file, out of the folder it names."""
    return link_out(file.path.parent, file.path.parent / named)


def _stem(file: TestsFile) -> str:
    name = file.path.name
    return next((name.removesuffix(it) for it in ENDINGS if name.endswith(it)), file.path.stem)


def read_tests_file(file: TestsFile, env: Mapping[str, str]) -> ReadTests:
    """The tests of a file of their own. `env` are variables from elsewhere; its own come first."""
    problems: list[Diagnostic] = []
    misshapen: set[Path] = set()
    for misfit in misfits(file.document.value, TESTS_SCHEMA, file):
        problems.append(file.diagnostic(misfit))
        misshapen.add(misfit.path)
    own = {} if any(path[:1] == ("env",) for path in misshapen) else _at(file, "env")
    read = ReadTests((), ())
    if not misshapen & {(), ("tests",)}:
        read = _read(file, _merged(env, own), {path[1] for path in misshapen if len(path) > 1})
    return ReadTests(read.tests, (*problems, *read.diagnostics))


def read_tests_section(part: Part, env: Mapping[str, str]) -> ReadTests:
    """The tests in a routes file, whose shape has been checked; `env` are variables for all."""
    return _read(part, env, ())


def check_names(tests: Iterable[RouteTest], table: RoutingTable) -> Iterator[Diagnostic]:
    """Every queue and route that a test names and the table does not have."""
    routes = [route.name for route in table.routes]
    sources = [queue.name for queue in table.sources()]
    for test in tests:
        if test.queue not in table.queues:
            what = f"no queue is called `{test.queue}`"
            hint = closest(test.queue, table.queues)
            yield _problem(test.places["queue"], "unknown-queue", what, hint)
        elif test.queue not in sources:
            what = f"no route reads queue `{test.queue}`: the router takes no message from it"
            hint = closest(test.queue, sources)
            yield _problem(test.places["queue"], "queue-not-read", what, hint)
        route = test.wanted.get("route")
        if isinstance(route, str) and route not in routes:
            what = f"no route is called `{route}`"
            yield _problem(test.places["route"], "unknown-route", what, closest(route, routes))


def _problem(place: Place, code: str, message: str, hint: str) -> Diagnostic:
    at = (place.file, place.line, place.column)
    return Diagnostic(*at, code, message, end_column=place.end_column, hint=hint)


def _at(part: Part, *path: str | int) -> Any:  # noqa: ANN401 - as typed as its shape, which was checked
    """What stands at `path`; an empty mapping if nothing does."""
    try:
        return value_at(part.written.value, path)
    except (LookupError, TypeError):
        return {}


def _merged(lower: Mapping[str, str], upper: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**lower, **upper}
    return {name: value for name, value in merged.items() if value is not None}


def _read(part: Part, env: Mapping[str, str], misshapen: Collection[object]) -> ReadTests:
    """The tests of the file, without those whose index is among the misshapen ones."""
    reader = _Reader(part, env)
    indexes = [index for index in range(len(_at(part, "tests"))) if index not in misshapen]
    tests = [reader.test(index) for index in indexes]
    return ReadTests(tuple(test for test in tests if test is not None), tuple(reader.problems))


class _Reader:
    """Reads the tests of one file, and notes what is wrong with them."""

    def __init__(self, part: Part, env: Mapping[str, str]) -> None:
        self._part = part
        self._env = env
        self._findings = Findings(part)
        self._first: dict[str, int] = {}
        """The line of each name."""
        self._names = [
            entry["name"]
            for entry in _at(part, "tests")
            if isinstance(entry, dict) and isinstance(entry.get("name"), str)
        ]

    @property
    def problems(self) -> list[Diagnostic]:
        return self._findings.problems

    def test(self, index: int) -> RouteTest | None:
        """The test at this index; None if something is wrong with it."""
        at: Path = ("tests", index)
        entry, before = _at(self._part, *at), len(self.problems)
        self._check_name(entry["name"], at)
        wanted = self._wanted(entry["expect"], (*at, "expect"))
        company = self._company(entry, (*at, "expect", "batch_with"))
        received = read_test_message(self._findings, entry["message"], (*at, "message"))
        if received is None or len(self.problems) > before:
            return None
        queue, message = received
        return RouteTest(
            name=entry["name"],
            place=self._findings.place(at),
            queue=queue,
            message=message,
            wanted=wanted,
            batch_with=company,
            env=_merged(self._env, entry.get("env", {})),
            places=self._places(entry, wanted, at),
        )

    def _places(
        self, entry: Mapping[str, Any], wanted: Mapping[str, object], at: Path
    ) -> dict[str, Place]:
        place, message = self._findings.place, entry["message"]
        body = next((key for key in _BODIES if key in message), "queue")
        places = {
            "queue": place((*at, "message", "queue" if "queue" in message else "file")),
            "body": place((*at, "message", body)),
        }
        for name in wanted:
            key = "unmatched" if name == "rejected" and name not in entry["expect"] else name
            places[name] = place((*at, "expect", *key.split(".", 1)))
        return places

    def _check_name(self, name: str, at: Path) -> None:
        line = self._findings.place((*at, "name")).line
        first = self._first.setdefault(name, line)
        if first != line:
            what = f"a test of this name is there already, in line {first}"
            hint = "names tell tests apart; choose another"
            self._findings.note((*at, "name"), "duplicate-test", what, hint)

    def _company(self, entry: Mapping[str, Any], at: Path) -> tuple[str, ...]:
        """The tests that this one names in `batch_with`."""
        written = entry["expect"].get("batch_with", ())
        named = (written,) if isinstance(written, str) else tuple(written)
        others = [name for name in self._names if name != entry["name"]]
        for index, name in enumerate(named):
            if name not in others:
                path = at if isinstance(written, str) else (*at, index)
                what = f"no other test of this file is called `{name}`"
                near = difflib.get_close_matches(name, others, n=1)
                hint = f"did you mean `{near[0]}`?" if near else "name one that is in this file"
                self._findings.note(path, "unknown-test", what, hint)
        return named

    def _wanted(self, expect: Mapping[str, Any], at: Path) -> dict[str, object]:
        """What is expected, by field."""
        reason = "unmatched" if "unmatched" in expect else expect.get("rejected")
        self._check_combination(expect, reason, at)
        wanted: dict[str, object] = {}
        for key, value in expect.items():
            match key:
                case "unmatched" | "rejected":
                    wanted["rejected"] = reason
                case "env":
                    wanted |= {f"env.{name}": text for name, text in value.items()}
                case "region" if isinstance(value, str):
                    wanted["region"] = ",".join(map(str.strip, value.split(",")))
                case "batch_with":
                    pass
                case _:
                    wanted[key] = value
        return wanted

    def _check_combination(self, expect: Mapping[str, Any], reason: str | None, at: Path) -> None:
        """Note what cannot be expected together."""
        note = self._findings.note
        word = "unmatched" if "unmatched" in expect else "rejected"
        if "unmatched" in expect and "rejected" in expect:
            what = "`unmatched` and `rejected` say two things about one message"
            note((*at, "rejected"), "conflicting-keys", what, "remove one of them", "key")
        if reason is None:
            for key in _OF_A_REJECTION:
                if key in expect:
                    what = f"`{key}` is about messages that become no part of a batch"
                    hint = "write `rejected` or `unmatched` as well, or remove it"
                    note((*at, key), "missing-key", what, hint, "key")
            return
        for key in _OF_A_MACHINE:
            if key in expect:
                what = f"`{key}` does not go with `{word}`: such a message becomes no Machine"
                note((*at, key), "conflicting-keys", what, "remove one of them", "key")
        if reason in _WITHOUT_A_ROUTE and "route" in expect:
            what = f"`route` does not go with `{word}`: a message that is {reason} takes none"
            note((*at, "route"), "conflicting-keys", what, "remove one of them", "key")
