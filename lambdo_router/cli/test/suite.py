"""
Runs the tests of a routes file: judges each message and compares that with what was expected.

The router's own functions judge, on the routes loaded with the variables of each test. The
command's environment plays no part, so a test gives the same result everywhere, and no secret can
get into its output.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lambdo_router.cli.test.files import SuiteFiles
from lambdo_router.cli.test.notes import Note, routing_notes, unset_variables
from lambdo_router.config.diagnostics import Diagnostic, Place, Related
from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes, sound
from lambdo_router.config.route_tests import RouteTest, check_names
from lambdo_router.config.route_tests.coverage import Coverage, RouteCoverage
from lambdo_router.config.route_tests.reading import (
    TestsAndProblems,
    read_tests_file,
    read_tests_section,
)
from lambdo_router.core.admission import Verdict, judge
from lambdo_router.core.profile import SIZES, Profile, normalise_image
from lambdo_router.core.routing import Route

_POLICIES: Final[Mapping[str, str]] = {"rejected": "reject", "left": "leave", "dropped": "drop"}
_Variables = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One field that is not as expected; both values as JSON, None for one that is not there."""

    field: str
    expected: object
    found: object
    origin: str = ""
    """Where the found value comes from, if it is part of a profile."""
    origin_place: Place | None = None


@dataclass(frozen=True, slots=True)
class RouteTestResult:
    """The result of one test."""

    test: RouteTest
    loaded: LoadedRoutes = field(repr=False)
    verdict: Verdict
    """For a failed test, with the reasons why routes did not match."""
    found: Mapping[str, object]
    """What the router does with the message, by the fields of an expectation."""
    mismatches: tuple[Mismatch, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.mismatches

    @property
    def route(self) -> Route | None:
        """The route that the message matches, even if it refuses it."""
        return self.verdict.decision.route


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The results of the tests of one routes file."""

    routes: str
    results: Sequence[RouteTestResult]
    not_run: int = 0
    """Tests that --run left out."""
    coverage: tuple[RouteCoverage, ...] = ()
    """For each route; empty if it was not asked for."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of each file by its name."""

    @property
    def failed(self) -> list[RouteTestResult]:
        return [result for result in self.results if not result.passed]


class Suite:
    """The tests of one routes file, which is loaded once for each set of variables."""

    def __init__(self, files: SuiteFiles, env: Mapping[str, str]) -> None:
        self.routes = files.routes
        self._examined: dict[_Variables, Examined] = {}
        self._loaded: dict[_Variables, LoadedRoutes] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._env = env
        self.examined = self.examine(env)
        """The routes file without the variables of any test."""
        read = list(self._read(files))
        self.tests = tuple(test for tests, _ in read for test in tests)
        self._by_name = {(test.place.file, test.name): test for test in self.tests}
        problems = {problem for _, found in read for problem in found} | {*self.examined.errors}
        if not self.examined.errors:
            problems |= set(self._checked())
        self.problems = tuple(sorted(problems))
        self._sources = {file.file: file.lines for file in files.files}

    def examine(self, env: Mapping[str, str]) -> Examined:
        """Check the routes file with these variables."""
        key = frozenset(env.items())
        if key not in self._examined:
            self._examined[key] = examine_routes(
                self.routes,
                env,
                missing="warning",
                default_app=env.get("LAMBDO_FLY_APP") or env.get("FLY_APP_NAME", ""),
                default_region=env.get("LAMBDO_FLY_REGION") or env.get("FLY_REGION") or None,
            )
        return self._examined[key]

    def load(self, env: Mapping[str, str]) -> LoadedRoutes:
        """Load the routes with these variables. Raises ConfigError if the file has errors."""
        key = frozenset(env.items())
        if key not in self._loaded:
            self._loaded[key] = sound(self.examine(env))
        return self._loaded[key]

    def selected(self, only: re.Pattern[str]) -> list[RouteTest]:
        """Return the tests whose name the expression finds."""
        return [test for test in self.tests if only.search(test.name)]

    def run(self, only: re.Pattern[str], *, with_coverage: bool) -> SuiteResult:
        """Run the tests whose name the expression finds."""
        tests, coverage = self.selected(only), Coverage()
        results = [self.result(test) for test in tests]
        for result in results if with_coverage else ():
            if result.route is not None:
                coverage.add(result.loaded, result.test.queue, result.test.message, result.route)
        return SuiteResult(
            routes=str(self.routes),
            results=results,
            not_run=len(self.tests) - len(tests),
            coverage=coverage.report(self.load(self._env)) if with_coverage else (),
            sources={**self.examined.sources, **self._sources},
        )

    def result(self, test: RouteTest) -> RouteTestResult:
        """Run one test."""
        loaded, verdict = self.load(test.env), self._verdict(test)
        found = found_fields(verdict)
        mismatches = (
            *_mismatches(test, verdict, found, loaded),
            *self._separate_batches(test, verdict),
        )
        if not mismatches:
            return RouteTestResult(test, loaded, verdict, found)
        verdict = self._judge(test, record=True)
        notes = list(routing_notes(test, verdict, loaded))
        texts = [f"{it.found} {it.origin}" for it in mismatches] + [it.text for it in notes]
        notes += unset_variables(texts, test.env)
        return RouteTestResult(test, loaded, verdict, found, mismatches, tuple(notes))

    def _read(self, files: SuiteFiles) -> Iterator[TestsAndProblems]:
        if files.inside and not self.examined.errors and self.examined.places is not None:
            for file in self.examined.places.draft.documents:
                yield read_tests_section(file, self._env)
        for file in files.files:
            yield read_tests_file(file, self._env)

    def _checked(self) -> Iterator[Diagnostic]:
        """Yield what is wrong with the routes under the variables of a test, and with names."""
        alike: dict[_Variables, list[RouteTest]] = {}
        for test in self.tests:
            alike.setdefault(frozenset(test.env.items()), []).append(test)
        for first, *others in alike.values():
            errors = self.examine(first.env).errors
            if not errors:
                yield from check_names([first, *others], self.load(first.env).table)
            at, why = first.place, f"with the variables of the test `{first.name}`"
            related = Related(at.file, at.line, at.column, why)
            for one in errors:
                yield replace(one, related=(*one.related, related))

    def _verdict(self, test: RouteTest) -> Verdict:
        key = (test.place.file, test.name)
        if key not in self._verdicts:
            # Why routes do not match is worked out only to explain a failure.
            self._verdicts[key] = self._judge(test, record=False)
        return self._verdicts[key]

    def _judge(self, test: RouteTest, *, record: bool) -> Verdict:
        table = self.load(test.env).table
        return judge(table, table.queues[test.queue], test.message, now=0.0, record=record)

    def _separate_batches(self, test: RouteTest, verdict: Verdict) -> Iterator[Mismatch]:
        """Yield the tests whose events share no batch with this one's, though they should."""
        for name in test.batch_with if verdict.batch is not None else ():
            other = self._verdict(self._by_name[test.place.file, name])
            if other.batch is None:
                why = f"that message is {other.refusal[0]}"
                yield Mismatch("batch_with", name, "no batch", why)
            elif other.key != verdict.key:
                apart = ", ".join(_apart(verdict, other))
                yield Mismatch("batch_with", name, "another batch", f"they differ in: {apart}")


def found_fields(verdict: Verdict) -> dict[str, object]:
    """Return what the router does with a message, by the fields of an expectation."""
    route = verdict.decision.route
    named: dict[str, object] = {"route": None if route is None else route.name}
    reason, detail = verdict.refusal
    if verdict.key is None or reason:
        return named | {"rejected": reason, "policy": _POLICIES[verdict.outcome], "detail": detail}
    profile = verdict.key.profile
    return named | {
        "image": profile.image,
        "size": _preset(profile),
        "memory_mb": profile.guest.memory_mb,
        "command": None if profile.command is None else list(profile.command),
        "env": dict(profile.env),
        "app": list(profile.apps) if profile.more_apps else profile.app,
        "region": profile.region,
    }


def _mismatches(
    test: RouteTest, verdict: Verdict, found: Mapping[str, Any], loaded: LoadedRoutes
) -> Iterator[Mismatch]:
    wanted, reason = test.wanted, found.get("rejected")
    if wanted.get("rejected") != reason:
        yield Mismatch("rejected", wanted.get("rejected"), reason)
        if "rejected" not in wanted and "route" in wanted and wanted["route"] != found["route"]:
            yield Mismatch("route", wanted["route"], found["route"])
        return  # everything else follows from that
    for name, expected in wanted.items():
        value = _value(name, expected, found)
        if not _agree(name, expected, value):
            yield _with_origin(Mismatch(name, expected, value), verdict, loaded)


def _value(name: str, expected: object, found: Mapping[str, Any]) -> object:
    """Return the found value in the form in which it is expected."""
    if name.startswith("env."):
        return found["env"].get(name.removeprefix("env."))
    if name == "size" and isinstance(expected, dict):
        guest, memory = SIZES[found["size"]].guest, found["memory_mb"]
        return {"cpu_kind": guest.cpu_kind, "cpus": guest.cpus, "memory_mb": memory}
    value: object = found[name]
    return value


def _agree(name: str, expected: object, value: object) -> bool:
    if name == "detail":
        return str(expected) in str(value)
    if name == "image" and expected != value:
        full = normalise_image(str(expected))
        return full is not None and full == normalise_image(str(value))
    if name == "app":  # one or several, in any order
        apps = [set(it) if isinstance(it, list) else {it} for it in (expected, value)]
        return apps[0] == apps[1]
    return expected == value


def _with_origin(mismatch: Mismatch, verdict: Verdict, loaded: LoadedRoutes) -> Mismatch:
    """Add where the found value comes from: a place in the file, or the sender."""
    route, name = verdict.decision.route, mismatch.field
    if route is None or verdict.key is None:
        return mismatch
    if getattr(route.profile, name, None) != getattr(verdict.key.profile, name, None):
        return replace(mismatch, origin=f"from the message's attribute `{name}`")
    origins = loaded.origins(route.name)
    origin = origins.get(name)
    if isinstance(mismatch.expected, dict) and "memory" in origins:
        origin = origins["memory"]  # the size is a name, with its memory in another key
    if origin is None:
        return mismatch
    place = None if origin.source in ("default value", "environment") else origin.place
    source = origin.source
    if isinstance(origin.written, str) and "${" in origin.written:
        source += f", as `{origin.written}`"
    return replace(mismatch, origin=source, origin_place=place)


def _preset(profile: Profile) -> str:
    """Return Fly's name for the CPUs of the profile, whatever its memory."""
    guest = profile.guest
    return f"{'shared-cpu' if guest.cpu_kind == 'shared' else guest.cpu_kind}-{guest.cpus}x"


def _apart(one: Verdict, other: Verdict) -> Iterator[str]:
    """Yield what keeps two events, each of which gets into a batch, from sharing one."""
    if one.key is None or other.key is None:
        return
    if one.key.queue != other.key.queue:
        yield "queue"
    if one.key.route.name != other.key.route.name:
        yield "route"
    elif one.key.route != other.key.route:
        yield "the variables of the routes file"
    for name in ("image", "size", "command"):
        if getattr(one.key.profile, name) != getattr(other.key.profile, name):
            yield name
