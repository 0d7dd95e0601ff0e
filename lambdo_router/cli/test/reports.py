"""The results of `test`: for people, and in the forms that machines read."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from lambdo_router.cli.output.layout import is_coloured
from lambdo_router.cli.output.reports import Report, repository_path
from lambdo_router.cli.test.suite import Mismatch, RouteTestResult, SuiteResult
from lambdo_router.config.diagnostics import Diagnostic, Place, counted, escape, parts
from lambdo_router.config.route_tests import RouteTest
from lambdo_router.config.route_tests.coverage import RouteCoverage, percent

_LONGEST_SHOWN = 300
"""Characters of a value."""
_COLOURS = {"failed": "red", "passed": "green", "note": "cyan", "no test": "yellow"}
_MOST_SHOWN = 20
"""Unreached alternatives of one route that are listed."""


# For people


def print_suite(suite: SuiteResult, *, verbose: bool) -> None:
    """Print each failed test with its explanation, then the counts."""
    for result in suite.results:
        if not result.passed:
            for line in _failure(result, suite.sources):
                _say(*line)
            _say()
        elif verbose:
            _say(f"{result.test.place}: ", "passed", f": {result.test.name}")
    _say(text=f"{suite.routes}: {_summary(suite)}")


def _summary(suite: SuiteResult) -> str:
    failed, count = len(suite.failed), len(suite.results)
    text = f"{counted(count, 'test')}, {f'{failed} failed' if failed else 'all passed'}"
    if count == 1 and not failed:
        text = "1 test, passed"
    return f"{text}, {suite.not_run} not run" if suite.not_run else text


def _failure(
    result: RouteTestResult, sources: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str, str]]:
    """Yield the lines about a failed test, each as place, coloured word and text."""
    yield f"{result.test.place}: ", "failed", f": {result.test.name}"
    for mismatch in result.mismatches:
        yield "", "", f"  {mismatch_text(mismatch)}"
    for note in result.notes:
        place = note.place
        yield "" if place is None else f"{place}: ", "note", f": {note.text}"
        for line in () if place is None else _excerpt(place, sources):
            yield "", "", line


def mismatch_text(mismatch: Mismatch) -> str:
    """Return in one line what was expected, what was found, and where that comes from."""
    nothing = "no rejection" if mismatch.field == "rejected" else "nothing"
    expected, found = _shown(mismatch.expected, nothing), _shown(mismatch.found, nothing)
    origin = mismatch.origin
    if mismatch.origin_place is not None:
        origin += f", {mismatch.origin_place}"
    return f"{mismatch.field}: expected {expected}, found {found}" + f" ({origin})" * bool(origin)


def _shown(value: object, nothing: str) -> str:
    if value is None:
        return nothing
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _excerpt(place: Place, sources: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the source line with carets; nothing if it is not known."""
    at = Diagnostic(place.file, place.line, place.column, "", "", end_column=place.end_column)
    [[_, *lines]] = parts(at, sources.get(place.file, ()), {})
    return lines


def print_coverage(suite: SuiteResult, *, err: bool = False) -> None:
    """Print what the tests reach, and what they do not; on stderr if a machine reads stdout."""
    tested = sum(it.tests > 0 for it in suite.coverage)
    routes = f"{tested} of {counted(len(suite.coverage), 'route')}"
    reached, alternatives = _totals(suite.coverage)
    share = shown_percent(percent(suite.coverage))
    text = f"tests reach {routes}, {reached} of {alternatives} alternatives: {share} %"
    _say(text=f"{suite.routes}: {text}", err=err)
    for route in suite.coverage:
        if not route.tests:
            _say(f"{route.place}: ", "no test", f" reaches route `{route.route}`", err=err)
            continue
        for alternative, place in route.unreached[:_MOST_SHOWN]:
            what = f" of route `{route.route}` reaches {alternative}"
            _say(f"{place}: ", "no test", what, err=err)
        if (rest := len(route.unreached) - _MOST_SHOWN) > 0:
            _say(text=f"  and {rest} more of route `{route.route}`", err=err)


def _totals(coverage: Sequence[RouteCoverage]) -> tuple[int, int]:
    return sum(it.reached for it in coverage), sum(it.alternatives for it in coverage)


def shown_percent(share: float) -> str:
    """Return the percentage with at most one decimal, rounded down, so that 100 means all."""
    return f"{math.floor(share * 10) / 10:g}"


def _say(place: str = "", mark: str = "", text: str = "", *, err: bool = False) -> None:
    """Print one line, coloured at a terminal and escaped, since senders wrote parts of it."""
    line = click.style(escape(place), bold=True) if place else ""
    line += click.style(mark, fg=_COLOURS[mark], bold=True) if mark else ""
    stream = sys.stderr if err else sys.stdout
    click.echo(line + escape(text), err=err, color=is_coloured(stream))


# For machines


def json_of(suites: Sequence[SuiteResult], report: Report) -> str:
    """
    Return one JSON object: the report on the files, and the result of each test.

    What `validate --format json` says about files has the same keys here.
    """
    from lambdo_router.cli.output.json import report_json

    results = [result for suite in suites for result in suite.results]
    passed = sum(result.passed for result in results)
    content = report_json(report) | {
        "passed_count": passed,
        "failed_count": len(results) - passed,
        "not_run_count": sum(suite.not_run for suite in suites),
        "tests": [_test_json(suite, result) for suite in suites for result in suite.results],
        "coverage": [_coverage_json(suite) for suite in suites if suite.coverage],
    }
    return json.dumps(content, indent=2) + "\n"


def _test_json(suite: SuiteResult, result: RouteTestResult) -> dict[str, object]:
    test, loaded = result.test, result.loaded
    return {
        "name": test.name,
        "range": _range(test.place),
        "routes": suite.routes,
        "queue": test.queue,
        "passed": result.passed,
        "expected": _expected(test),
        "found": dict(result.found),
        "differences": [
            {
                "field": one.field,
                "expected": one.expected,
                "found": one.found,
                "origin": one.origin or None,
                "range": _range(one.origin_place),
            }
            for one in result.mismatches
        ],
        "remarks": [{"text": note.text, "range": _range(note.place)} for note in result.notes],
        "considered": [
            {
                "route": one.route,
                "why": one.why,
                "range": _range(
                    loaded.place_of(one.route, "match", *filter(None, [one.part]), *one.path)
                ),
            }
            for one in result.verdict.decision.considered
        ],
    }


def _expected(test: RouteTest) -> dict[str, object]:
    """Return what the test expects, under the keys of the file."""
    expected = {key: value for key, value in test.wanted.items() if not key.startswith("env.")}
    env = {key[4:]: value for key, value in test.wanted.items() if key.startswith("env.")}
    optional = {"env": env, "batch_with": list(test.batch_with)}
    return expected | {key: value for key, value in optional.items() if value}


def _coverage_json(suite: SuiteResult) -> dict[str, object]:
    reached, alternatives = _totals(suite.coverage)
    return {
        "routes": suite.routes,
        "percent": float(shown_percent(percent(suite.coverage))),
        "alternatives": alternatives,
        "reached": reached,
        "by_route": [
            {
                "route": it.route,
                "range": _range(it.place),
                "tests": it.tests,
                "alternatives": it.alternatives,
                "reached": it.reached,
                "unreached": [
                    {"text": str(alternative), "range": _range(place)}
                    for alternative, place in it.unreached
                ],
            }
            for it in suite.coverage
        ],
    }


def _range(place: Place | None) -> dict[str, object] | None:
    from lambdo_router.cli.output.json import range_json

    if place is None:
        return None
    return range_json(place.file, place.line, place.column, place.end_column)


def junit_of(suites: Sequence[SuiteResult]) -> str:
    """Return the tests as JUnit XML, with a suite for each routes file."""
    from lambdo_router.cli.output.junit import JUnitCase, junit_text

    def case(suite: SuiteResult, result: RouteTestResult) -> JUnitCase:
        details = "" if result.passed else "\n".join(map("".join, _failure(result, suite.sources)))
        return JUnitCase(
            name=result.test.name,
            group=suite.routes,
            file=repository_path(result.test.place.file),
            line=result.test.place.line,
            failure="; ".join(map(mismatch_text, result.mismatches)),
            details=details,
        )

    return junit_text({suite.routes: [case(suite, it) for it in suite.results] for suite in suites})


def github_of(suites: Sequence[SuiteResult], report: Report) -> str:
    """Return an annotation for each problem and failed test, and a line for each routes file."""
    from lambdo_router.cli.output.github import github_text

    lines = [_annotation(result) for suite in suites for result in suite.failed]
    lines += [f"lambdo-router: {escape(suite.routes)}: {_summary(suite)}" for suite in suites]
    problems = tuple(file for file in report.files if file.diagnostics)
    return github_text(Report(problems, report.sources)) + "".join(f"{line}\n" for line in lines)


def _annotation(result: RouteTestResult) -> str:
    """Return the failed test as a workflow command, at the place of the test."""
    from lambdo_router.cli.output.github import command

    place = result.test.place
    lines = [result.test.name, *map(mismatch_text, result.mismatches)]
    for note in result.notes:
        at = note.place
        where = "" if at is None else f"{repository_path(at.file)}:{at.line}:{at.column}: "
        lines.append(f"{where}{note.text}")
    properties: dict[str, str | int] = {
        "file": repository_path(place.file),
        "line": place.line,
        "title": "failed test",
    }
    return command("error", "\n".join(map(escape, lines)), properties)
