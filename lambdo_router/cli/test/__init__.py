"""`test`: runs the tests of routes files."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import click

from lambdo_router.cli.output.printing import print_diagnostics, print_error, print_result
from lambdo_router.cli.output.reports import FileReport, Report
from lambdo_router.cli.test.files import Found, Tested, find_tests
from lambdo_router.cli.test.judging import Bench, Environments
from lambdo_router.cli.test.reports import (
    Suite,
    github_of,
    json_of,
    junit_of,
    print_coverage,
    print_suite,
    shown_percent,
)
from lambdo_router.config.diagnostics import Diagnostic, Related, counted
from lambdo_router.config.load import Examined
from lambdo_router.config.route_tests import (
    ReadTests,
    RouteTest,
    check_names,
    read_tests_file,
    read_tests_section,
)
from lambdo_router.config.route_tests.coverage import Coverage, percent

Form = Literal["text", "json", "github", "junit"]
_FINE, _FOUND, _MISSING, _UNREADABLE = range(4)
"""Exit codes."""
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@click.command()
@click.argument("files", nargs=-1, type=click.Path())
@click.option(
    "--run", "wanted", metavar="REGEX", help="Run only the tests in whose name this is found."
)
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="What ${NAME} of the routes file stands for, unless a test says otherwise. Repeatable.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "junit"]),
    default="text",
    show_default=True,
    help="How to tell: for people, as JSON, as annotations of GitHub Actions, or as JUnit's XML.",
)
@click.option(
    "--coverage",
    "with_coverage",
    is_flag=True,
    help="Say which routes, and which values in their patterns, no test reaches.",
)
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail if the tests reach less of a routes file. Implies --coverage.",
)
@click.option("-v", "--verbose", is_flag=True, help="Name the tests that have passed as well.")
def command(
    files: tuple[str, ...],
    *,
    wanted: str | None,
    variables: tuple[str, ...],
    form: Form,
    with_coverage: bool,
    fail_under: float | None,
    verbose: bool,
) -> None:
    """
    Run the tests of routes files: messages, and what is to become of them.

    FILES are routes files (the `tests` in them, and each *.test.yaml beside them that is for
    them), files *.test.yaml, folders of these, or globs in quotes. Default: the current folder.

    Of a test that fails it is said what was expected and what was found, which way the message
    took, and the first condition that kept it from the route it was meant to take.

    Tests need no network, no credentials and no variables: they see those in their own `env`, and
    of the environment nothing.

    \b
      lambdo-router test
      lambdo-router test routes.yaml --run png --verbose
      lambdo-router test "teams/**/*.test.yaml" --fail-under 90 --format junit > tests.xml

    \b
    Exit codes:
      0  all tests have passed
      1  a test has failed, a file has errors, or --fail-under is not reached
      2  wrong usage, no test to run, or a file that is named does not exist
      3  a file cannot be read: it is a folder, or its rights do not allow it
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    only = _regex(wanted)
    env = _variables(variables)
    found = find_tests(files)
    prepared = [_prepared(tested, env) for tested in found.tested]
    report = _report(found, prepared)
    if report.exit_code:
        _print_report(report, form)
        raise SystemExit(report.exit_code)
    if not any(it.selected(only) for it in prepared):
        raise click.UsageError(_nothing_to_run(prepared, wanted))
    covered = with_coverage or fail_under is not None
    suites = [_run(it, only, covered=covered) for it in prepared if it.selected(only)]
    _print(suites, report, form, verbose=verbose)
    failed = any(suite.failed for suite in suites)
    uncovered = [_told_of(suite, fail_under) for suite in suites if _is_under(suite, fail_under)]
    for told in uncovered:
        print_error(told)
    raise SystemExit(_FOUND if failed or uncovered else _FINE)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The tests of one routes file, read and checked."""

    tested: Tested
    environments: Environments
    examined: Examined
    """The routes file without the variables of any test."""
    env: Mapping[str, str]
    tests: tuple[RouteTest, ...]
    problems: tuple[Diagnostic, ...]

    def selected(self, only: re.Pattern[str]) -> list[RouteTest]:
        return [test for test in self.tests if only.search(test.name)]


def _regex(text: str | None) -> re.Pattern[str]:
    try:
        return re.compile(text or "")
    except re.error as problem:
        raise click.UsageError(f"--run: {text!r} is no regular expression: {problem}") from None


def _variables(written: Iterable[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for text in written:
        parts = _VARIABLE.fullmatch(text)
        if parts is None:
            raise click.UsageError(f"--env {text!r} sets no variable; write NAME=VALUE")
        variables[parts[1]] = parts[2]
    return variables


def _prepared(tested: Tested, env: Mapping[str, str]) -> _Prepared:
    environments = Environments(tested.routes)
    examined = environments.examine(env)
    read = list(_read(tested, examined, env))
    tests = tuple(test for one in read for test in one.tests)
    problems = {problem for one in read for problem in one.diagnostics}
    if not examined.errors:
        problems |= set(_checked(tests, environments))
    problems |= set(examined.errors)
    return _Prepared(tested, environments, examined, env, tests, tuple(sorted(problems)))


def _read(tested: Tested, examined: Examined, env: Mapping[str, str]) -> Iterator[ReadTests]:
    if tested.inside and not examined.errors and examined.places is not None:
        for part in examined.places.draft.parts:
            yield read_tests_section(part, env)
    for file in tested.files:
        yield read_tests_file(file, env)


def _checked(tests: Sequence[RouteTest], environments: Environments) -> Iterator[Diagnostic]:
    """What is wrong with the routes file under the variables of a test, and with their names."""
    alike: dict[frozenset[tuple[str, str]], list[RouteTest]] = {}
    for test in tests:
        alike.setdefault(frozenset(test.env.items()), []).append(test)
    for first, *others in alike.values():
        errors = environments.examine(first.env).errors
        if not errors:
            yield from check_names([first, *others], environments.load(first.env).table)
        at, why = first.place, f"with the variables of the test `{first.name}`"
        related = Related(at.file, at.line, at.column, why)
        yield from (replace(one, related=(*one.related, related)) for one in errors)


def _report(found: Found, prepared: Sequence[_Prepared]) -> Report:
    """What is wrong with the files; nothing may be, before a test is run."""
    sources = dict(found.sources)
    files = [_file_report(str(path), problems) for path, problems in found.problems.items()]
    for it in prepared:
        sources |= it.examined.sources
        report = _file_report(str(it.tested.routes), it.problems)
        files.append(replace(report, checked=it.examined.checked))
    return Report(tuple(files), sources)


def _file_report(file: str, problems: Iterable[Diagnostic]) -> FileReport:
    found = tuple(sorted(problems))
    codes = {it.code for it in found if (it.file, it.line, it.column) == (file, 1, 1)}
    exit_code = _FOUND if found else _FINE
    if "file-not-found" in codes:
        exit_code = _MISSING
    elif codes & {"file-is-a-folder", "file-not-readable"}:
        exit_code = _UNREADABLE
    return FileReport(file, found, counted(len(found), "error"), exit_code=exit_code)


def _nothing_to_run(prepared: Sequence[_Prepared], wanted: str | None) -> str:
    count = sum(len(it.tests) for it in prepared)
    if count:
        return f"none of {counted(count, 'test')} has {wanted!r} in its name"
    files = ", ".join(str(it.tested.routes) for it in prepared)
    return (
        f"there are no tests for {files}; write them under `tests` in it, or in a file "
        "*.test.yaml beside it"
    )


def _run(prepared: _Prepared, only: re.Pattern[str], *, covered: bool) -> Suite:
    bench, coverage = Bench(prepared.environments, prepared.tests), Coverage()
    tests = prepared.selected(only)
    results = [bench.result(test) for test in tests]
    for result in results if covered else ():
        if result.route is not None:
            coverage.add(result.loaded, result.test.queue, result.test.message, result.route)
    return Suite(
        routes=str(prepared.tested.routes),
        results=results,
        left_out=len(prepared.tests) - len(tests),
        coverage=coverage.report(prepared.environments.load(prepared.env)) if covered else (),
        sources={**prepared.examined.sources, **_sources(prepared.tested)},
    )


def _sources(tested: Tested) -> dict[str, Sequence[str]]:
    return {file.document.file: file.document.lines for file in tested.files}


def _is_under(suite: Suite, fail_under: float | None) -> bool:
    return fail_under is not None and percent(suite.coverage) < fail_under


def _told_of(suite: Suite, fail_under: float | None) -> str:
    share = shown_percent(percent(suite.coverage))
    return f"the tests reach {share} % of {suite.routes}, less than {fail_under:g} %"


def _print(suites: Sequence[Suite], report: Report, form: Form, *, verbose: bool) -> None:
    if form == "json":
        sys.stdout.write(json_of(suites, report))
        return
    if form == "text":
        for suite in suites:
            print_suite(suite, verbose=verbose)
    else:
        sys.stdout.write(github_of(suites, report) if form == "github" else junit_of(suites))
    for suite in suites:
        if suite.coverage:
            print_coverage(suite, err=form != "text")


def _print_report(report: Report, form: Form) -> None:
    """Files with errors: no test of any was run."""
    match form:
        case "text":
            print_diagnostics(report.diagnostics, report.sources)
            errors = counted(len(report.diagnostics), "error")
            print_result(f"no test was run: {errors}")
        case "json":
            sys.stdout.write(json_of((), report))
        case "github":
            sys.stdout.write(github_of((), report))
        case "junit":
            from lambdo_router.cli.output.junit import junit_of_files

            sys.stdout.write(junit_of_files(report))
