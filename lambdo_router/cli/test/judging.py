"""
Runs tests of routes files: judges each message, and compares that with what was expected.

A message is judged by the functions of the router itself (verdicts.py), with the routes loaded as
the variables of its test say. The environment of the command plays no part: a test comes out alike
on every machine, and no secret can get into its output.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lambdo_router.cli.test.remarks import Remark, remarks, unset
from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes, sound
from lambdo_router.config.read.places import Place
from lambdo_router.config.route_tests import RouteTest
from lambdo_router.core.admission import Verdict, judge
from lambdo_router.core.profile import SIZES, Profile, normalise_image
from lambdo_router.core.routing import Route

_POLICIES: Final[Mapping[str, str]] = {"rejected": "reject", "left": "leave", "dropped": "drop"}
"""What was done with a message, by what became of it."""


class Environments:
    """One routes file, loaded once for each set of variables that its tests come with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._examined: dict[frozenset[tuple[str, str]], Examined] = {}
        self._loaded: dict[frozenset[tuple[str, str]], LoadedRoutes] = {}

    def examine(self, env: Mapping[str, str]) -> Examined:
        """What a look at the file shows with these variables."""
        key = frozenset(env.items())
        if key not in self._examined:
            self._examined[key] = examine_routes(
                self._path,
                env,
                missing="warning",
                default_app=env.get("LAMBDO_FLY_APP") or env.get("FLY_APP_NAME", ""),
                default_region=env.get("LAMBDO_FLY_REGION") or env.get("FLY_REGION") or None,
            )
        return self._examined[key]

    def load(self, env: Mapping[str, str]) -> LoadedRoutes:
        """The routes with these variables. Raises ConfigError if there is an error in the file."""
        key = frozenset(env.items())
        if key not in self._loaded:
            self._loaded[key] = sound(self.examine(env))
        return self._loaded[key]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as expected; both values as JSON, None for what there is none of."""

    field: str
    expected: object
    found: object
    origin: str = ""
    """Where the value that was found comes from, if it is part of a profile."""
    origin_place: Place | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How one test came out."""

    test: RouteTest
    loaded: LoadedRoutes = field(repr=False)
    verdict: Verdict
    """Of a test that failed, with the reasons why routes did not match."""
    found: Mapping[str, object]
    """What became of the message, by field, in the terms of an expectation."""
    differences: tuple[Difference, ...] = ()
    remarks: tuple[Remark, ...] = ()
    """Why a message took its way, if that is not the way it was expected to take."""

    @property
    def passed(self) -> bool:
        return not self.differences

    @property
    def route(self) -> Route | None:
        """The route that the message matches, be it refused by it."""
        return self.verdict.decision.route


class Bench:
    """The tests of one routes file, whose messages are judged when they are asked for."""

    def __init__(self, environments: Environments, tests: Iterable[RouteTest]) -> None:
        self._environments = environments
        self._tests = {(test.place.file, test.name): test for test in tests}
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    def result(self, test: RouteTest) -> Result:
        """What became of the test's message, against what was expected."""
        loaded, verdict = self._environments.load(test.env), self._verdict(test)
        is_found = found(verdict)
        differences = (
            *_differences(test, verdict, loaded),
            *self._company(test, verdict),
        )
        if not differences:
            return Result(test, loaded, verdict, is_found)
        verdict = self._judge(test, record=True)
        explained = list(remarks(test, verdict, loaded))
        texts = [f"{it.found} {it.origin}" for it in differences] + [it.text for it in explained]
        explained += unset(texts, test.env)
        return Result(test, loaded, verdict, is_found, differences, tuple(explained))

    def _verdict(self, test: RouteTest) -> Verdict:
        key = (test.place.file, test.name)
        if key not in self._verdicts:
            # The routes that do not match are only looked at one by one to explain a failure.
            self._verdicts[key] = self._judge(test, record=False)
        return self._verdicts[key]

    def _judge(self, test: RouteTest, *, record: bool) -> Verdict:
        table = self._environments.load(test.env).table
        return judge(table, table.queues[test.queue], test.message, wall=0.0, record=record)

    def _company(self, test: RouteTest, verdict: Verdict) -> Iterator[Difference]:
        """Tests whose events share no batch with this one's, though they should."""
        if verdict.batch is None:
            return
        for name in test.batch_with:
            other = self._verdict(self._tests[test.place.file, name])
            if other.batch is None:
                why = f"that message is {other.refusal[0]}"
                yield Difference("batch_with", name, "no batch", why)
            elif other.key != verdict.key:
                apart = ", ".join(_apart(verdict, other))
                yield Difference("batch_with", name, "another batch", f"they differ in: {apart}")


def found(verdict: Verdict) -> dict[str, object]:
    """What became of a message, in the terms of an expectation."""
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


def _differences(test: RouteTest, verdict: Verdict, loaded: LoadedRoutes) -> Iterator[Difference]:
    wanted, is_found = test.wanted, found(verdict)
    reason = is_found.get("rejected")
    if wanted.get("rejected") != reason:
        yield Difference("rejected", wanted.get("rejected"), reason)
        if "rejected" not in wanted and "route" in wanted and wanted["route"] != is_found["route"]:
            yield Difference("route", wanted["route"], is_found["route"])
        return  # all the rest follows from that
    for name, expected in wanted.items():
        value = _value(name, expected, is_found)
        if not _agree(name, expected, value):
            yield _with_origin(Difference(name, expected, value), verdict, loaded)


def _value(name: str, expected: object, is_found: Mapping[str, Any]) -> object:
    """The field as it was found, in the form in which it is expected."""
    if name.startswith("env."):
        return is_found["env"].get(name.removeprefix("env."))
    if name == "size" and isinstance(expected, dict):
        guest = SIZES[is_found["size"]].guest
        memory = is_found["memory_mb"]
        return {"cpu_kind": guest.cpu_kind, "cpus": guest.cpus, "memory_mb": memory}
    value: object = is_found[name]
    return value


def _agree(name: str, expected: object, value: object) -> bool:
    if name == "detail":
        return str(expected) in str(value)
    if name == "image" and expected != value:
        full = normalise_image(str(expected))
        return full is not None and full == normalise_image(str(value))
    if name == "app":
        return _named(expected) == _named(value)
    return expected == value


def _named(apps: object) -> set[object]:
    """One app or several, in any order."""
    return set(apps) if isinstance(apps, list) else {apps}


def _with_origin(difference: Difference, verdict: Verdict, loaded: LoadedRoutes) -> Difference:
    """The same with where the value comes from: a place in the file, or the sender."""
    route, name = verdict.decision.route, difference.field
    if route is None or verdict.key is None:
        return difference
    if getattr(route.profile, name, None) != getattr(verdict.key.profile, name, None):
        source = f"from the message's attribute `{name}`"
        return Difference(name, difference.expected, difference.found, source)
    origins = loaded.origins(route.name)
    origin = origins.get(name)
    if isinstance(difference.expected, dict) and "memory" in origins:
        origin = origins["memory"]  # the size is written as a name, and its memory by itself
    if origin is None:
        return difference
    place = None if origin.source in ("default value", "environment") else origin.place
    source = origin.source
    if isinstance(origin.written, str) and "${" in origin.written:
        source += f", as `{origin.written}`"
    return Difference(name, difference.expected, difference.found, source, place)


def _preset(profile: Profile) -> str:
    """The name in Fly's table for the CPUs of the profile, whatever its memory."""
    guest = profile.guest
    return f"{'shared-cpu' if guest.cpu_kind == 'shared' else guest.cpu_kind}-{guest.cpus}x"


def _apart(one: Verdict, other: Verdict) -> Iterator[str]:
    """What keeps two events, each of which gets into a batch, from sharing one."""
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
