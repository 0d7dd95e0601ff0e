"""How `test` tells what it has found: for people, and in the forms that machines read."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import click

from lambdo_router.cli.output.reports import Report
from lambdo_router.cli.test.judging import Difference, Result
from lambdo_router.cli.test.remarks import Remark
from lambdo_router.config.diagnostics import Diagnostic, counted, escape, parts
from lambdo_router.config.read.places import Place
from lambdo_router.config.route_tests import RouteTest
from lambdo_router.config.route_tests.coverage import RouteCoverage, percent

_LONGEST_SHOWN = 300
"""Characters of a value."""
_COLOURS = {"failed": "red", "passed": "green", "note": "cyan", "no test": "yellow"}
"""Of the words that a line is about."""
_MOST_SHOWN = 20
"""Alternatives of one route that are listed, of those that no test reaches."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The tests of one routes file, and how they came out."""

    routes: str
    results: Sequence[Result]
    left_out: int = 0
    """Tests that were not asked for."""
    coverage: tuple[RouteCoverage, ...] = ()
    """Of each route; empty if it was not asked for."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of each file by its name."""

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if not result.passed]


# For people


def print_suite(suite: Suite, *, verbose: bool) -> None:
    """Each test that failed, with the reasons, then how many."""
    for result in suite.results:
        if not result.passed:
            for line in _failure(result, suite.sources):
                _say(*line)
            _say()
        elif verbose:
            _say(f"{result.test.place}: ", "passed", f": {result.test.name}")
    _say(text=f"{suite.routes}: {_summary(suite)}")


def _summary(suite: Suite) -> str:
    failed, count = len(suite.failed), len(suite.results)
    told = f"{counted(count, 'test')}, {f'{failed} failed' if failed else 'all passed'}"
    if count == 1 and not failed:
        told = "1 test, passed"
    return f"{told}, {suite.left_out} not run" if suite.left_out else told


def _failure(
    result: Result, sources: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str, str]]:
    """The lines about a test that failed, each as place, mark and text."""
    yield f"{result.test.place}: ", "failed", f": {result.test.name}"
    for difference in result.differences:
        yield "", "", f"  {told(difference)}"
    for remark in result.remarks:
        place = remark.place
        yield "" if place is None else f"{place}: ", "note", f": {remark.text}"
        for line in () if place is None else _excerpt(place, sources):
            yield "", "", line


def told(difference: Difference) -> str:
    """The difference in one line: what was expected, what was found, and where that is from."""
    nothing = "no rejection" if difference.field == "rejected" else "nothing"
    expected = _shown(difference.expected, nothing)
    found = _shown(difference.found, nothing)
    origin = difference.origin
    if difference.origin_place is not None:
        origin += f", {difference.origin_place}"
    return f"{difference.field}: expected {expected}, found {found}" + f" ({origin})" * bool(origin)


def _shown(value: object, nothing: str) -> str:
    if value is None:
        return nothing
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _excerpt(place: Place, sources: Mapping[str, Sequence[str]]) -> list[str]:
    """The source line with carets; nothing if it is not known."""
    at = Diagnostic(place.file, place.line, place.column, "", "", end_column=place.end_column)
    [[_, *lines]] = parts(at, sources.get(place.file, ()), {})
    return lines


def print_coverage(suite: Suite, *, err: bool = False) -> None:
    """How far the tests reach, and what they do not; on stderr where stdout is for a machine."""
    of_routes = (
        f"{sum(it.tests > 0 for it in suite.coverage)} of {counted(len(suite.coverage), 'route')}"
    )
    alternatives = sum(it.alternatives for it in suite.coverage)
    of_alternatives = f"{sum(it.reached for it in suite.coverage)} of {alternatives} alternatives"
    share = shown_percent(percent(suite.coverage))
    _say(text=f"{suite.routes}: tests reach {of_routes}, {of_alternatives}: {share} %", err=err)
    for route in suite.coverage:
        if not route.tests:
            _say(f"{route.place}: ", "no test", f" reaches route `{route.route}`", err=err)
            continue
        for one in route.unreached[:_MOST_SHOWN]:
            what = f" of route `{route.route}` reaches {one.alternative}"
            _say(f"{one.place}: ", "no test", what, err=err)
        if (rest := len(route.unreached) - _MOST_SHOWN) > 0:
            _say(text=f"  and {rest} more of route `{route.route}`", err=err)


def shown_percent(share: float) -> str:
    """The percentage with one decimal at most, rounded down: 100 is all of it."""
    return f"{math.floor(share * 10) / 10:g}"


def _say(place: str = "", mark: str = "", text: str = "", *, err: bool = False) -> None:
    """One line, coloured at a terminal; what senders wrote may be in the text."""
    line = click.style(escape(place), bold=True) if place else ""
    line += click.style(mark, fg=_COLOURS[mark], bold=True) if mark else ""
    stream = sys.stderr if err else sys.stdout
    click.echo(line + escape(text), err=err, color=_is_coloured(stream))


def _is_coloured(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")


# For machines


def json_of(suites: Sequence[Suite], report: Report) -> str:
    """
    All of it as one JSON object: the report on the files, and how each test came out.

    What `validate --format json` tells of files stands here under the same keys.
    """
    from lambdo_router.cli.output.json import json_text

    results = [result for suite in suites for result in suite.results]
    failed = [result for result in results if not result.passed]
    told = json.loads(json_text(report)) | {
        "passed_count": len(results) - len(failed),
        "failed_count": len(failed),
        "not_run_count": sum(suite.left_out for suite in suites),
        "tests": [_test(suite, result) for suite in suites for result in suite.results],
        "coverage": [_coverage(suite) for suite in suites if suite.coverage],
    }
    return json.dumps(told, indent=2) + "\n"


def _test(suite: Suite, result: Result) -> dict[str, object]:
    test = result.test
    return {
        "name": test.name,
        "range": _range(test.place),
        "routes": suite.routes,
        "queue": test.queue,
        "passed": result.passed,
        "expected": _expected(test),
        "found": dict(result.found),
        "differences": [_difference(one) for one in result.differences],
        "remarks": [_remark(one) for one in result.remarks],
        "considered": [
            {
                "route": one.route,
                "why": one.why,
                "range": _range(
                    result.loaded.place_of(one.route, "match", *filter(None, [one.part]), *one.path)
                ),
            }
            for one in result.verdict.decision.considered
        ],
    }


def _expected(test: RouteTest) -> dict[str, object]:
    """What the test expects, under the keys of the file."""
    expected = {key: value for key, value in test.wanted.items() if not key.startswith("env.")}
    env = {key[4:]: value for key, value in test.wanted.items() if key.startswith("env.")}
    company = list(test.batch_with)
    return expected | {k: v for k, v in (("env", env), ("batch_with", company)) if v}


def _difference(difference: Difference) -> dict[str, object]:
    place = difference.origin_place
    return {
        "field": difference.field,
        "expected": difference.expected,
        "found": difference.found,
        "origin": difference.origin or None,
        "range": None if place is None else _range(place),
    }


def _remark(remark: Remark) -> dict[str, object]:
    return {"text": remark.text, "range": None if remark.place is None else _range(remark.place)}


def _coverage(suite: Suite) -> dict[str, object]:
    return {
        "routes": suite.routes,
        "percent": float(shown_percent(percent(suite.coverage))),
        "alternatives": sum(it.alternatives for it in suite.coverage),
        "reached": sum(it.reached for it in suite.coverage),
        "by_route": [_route(it) for it in suite.coverage],
    }


def _route(coverage: RouteCoverage) -> dict[str, object]:
    return {
        "route": coverage.route,
        "range": _range(coverage.place),
        "tests": coverage.tests,
        "alternatives": coverage.alternatives,
        "reached": coverage.reached,
        "unreached": [
            {"text": str(it.alternative), "range": _range(it.place)} for it in coverage.unreached
        ],
    }


def _range(place: Place) -> dict[str, object]:
    end = place.column + 1 if place.end_column is None else place.end_column
    return {
        "filename": place.file,
        "start": {"line": place.line, "column": place.column},
        "end": {"line": place.line, "column": end},
    }


def junit_of(suites: Sequence[Suite]) -> str:
    """The tests as JUnit's XML, a suite for each routes file."""
    from lambdo_router.cli.output import junit as junit_report
    from lambdo_router.cli.output.reports import repository_path

    def case(suite: Suite, result: Result) -> junit_report.Case:
        failure = None
        if not result.passed:
            summary = "; ".join(map(told, result.differences))
            failure = junit_report.Failure(
                summary, "\n".join(map("".join, _failure(result, suite.sources)))
            )
        return junit_report.Case(
            name=result.test.name,
            group=suite.routes,
            file=repository_path(result.test.place.file),
            line=result.test.place.line,
            failure=failure,
        )

    return junit_report.junit_text(
        [
            junit_report.Suite(suite.routes, [case(suite, it) for it in suite.results])
            for suite in suites
        ]
    )


def github_of(suites: Sequence[Suite], report: Report) -> str:
    """An annotation for each problem and each failed test, and a line for each routes file."""
    from lambdo_router.cli.output.github import github_text

    told = [_annotation(result) for suite in suites for result in suite.failed]
    told += [f"lambdo-router: {escape(suite.routes)}: {_summary(suite)}" for suite in suites]
    problems = tuple(file for file in report.files if file.diagnostics)
    return github_text(Report(problems, report.sources)) + "".join(f"{line}\n" for line in told)


def _annotation(result: Result) -> str:
    """The failed test as a workflow command, at the place of the test."""
    from lambdo_router.cli.output.github import command
    from lambdo_router.cli.output.reports import repository_path

    place = result.test.place
    lines = [f"{result.test.name}", *map(told, result.differences)]
    for remark in result.remarks:
        at = remark.place
        where = f"{repository_path(at.file)}:{at.line}:{at.column}: " if at is not None else ""
        lines.append(f"{where}{remark.text}")
    properties: dict[str, str | int] = {
        "file": repository_path(place.file),
        "line": place.line,
        "title": "failed test",
    }
    return command("error", "\n".join(map(escape, lines)), properties)
