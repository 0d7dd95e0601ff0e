"""`test`: runs the tests of routes files."""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

import click

from lambdo_router.cli.output.printing import print_diagnostics, print_error, print_result
from lambdo_router.cli.output.reports import FileReport, Report
from lambdo_router.cli.test.files import FoundTests, find_tests
from lambdo_router.cli.test.reports import (
    github_of,
    json_of,
    junit_of,
    print_coverage,
    print_suite,
    shown_percent,
)
from lambdo_router.cli.test.suite import Suite, SuiteResult
from lambdo_router.config.diagnostics import Diagnostic, counted
from lambdo_router.config.route_tests.coverage import percent

Form = Literal["text", "json", "github", "junit"]
_PASSED, _FAILED, _MISSING, _UNREADABLE = range(4)
"""Exit codes."""
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


@click.command()
@click.argument("files", nargs=-1, type=click.Path())
@click.option("--run", "wanted", metavar="REGEX", help="Run only the tests whose name matches.")
@click.option(
    "--env",
    "variables",
    multiple=True,
    metavar="NAME=VALUE",
    help="The value of ${NAME} in the routes file, unless a test sets it. Repeatable.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github", "junit"]),
    default="text",
    show_default=True,
    help="Output format: text for people, JSON, GitHub Actions annotations, or JUnit XML.",
)
@click.option(
    "--coverage",
    "with_coverage",
    is_flag=True,
    help="List the routes, and the values in their patterns, that no test reaches.",
)
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail if tests reach less of a routes file. Implies --coverage.",
)
@click.option("-v", "--verbose", is_flag=True, help="List passed tests too.")
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
    Run the tests of routes files: messages, and what the router should do with them.

    FILES are routes files (with the `tests` in them, and each *.test.yaml beside them that refers
    to them), *.test.yaml files, folders of these, or quoted globs. Default: the current folder.

    A failing test shows expected and actual results, the route that the message took, and the first
    condition that kept it from the expected route.

    Tests need no network, no credentials and no variables: they see their own `env` and nothing of
    the environment.

    \b
      lambdo-router test
      lambdo-router test routes.yaml --run png --verbose
      lambdo-router test "teams/**/*.test.yaml" --fail-under 90 --format junit > tests.xml

    \b
    Exit codes:
      0  all tests passed
      1  a test failed, a file has errors, or --fail-under is not reached
      2  wrong usage, no tests to run, or a named file does not exist
      3  a file cannot be read: it is a folder, or its permissions do not allow it
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    only, env = _regex(wanted), _variables(variables)
    found = find_tests(files)
    suites = [Suite(one, env) for one in found.suites]
    report = _report(found, suites)
    if report.exit_code:
        _print_report(report, form)
        raise SystemExit(report.exit_code)
    suites_to_run = [suite for suite in suites if suite.selected(only)]
    if not suites_to_run:
        raise click.UsageError(_nothing_to_run(suites, wanted))
    with_coverage = with_coverage or fail_under is not None
    results = [suite.run(only, with_coverage=with_coverage) for suite in suites_to_run]
    _print(results, report, form, verbose=verbose)
    failed = any(suite.failed for suite in results)
    for suite in results:
        if fail_under is not None and (share := percent(suite.coverage)) < fail_under:
            what = f"tests reach {shown_percent(share)} % of {suite.routes}"
            print_error(f"{what}, less than {fail_under:g} %")
            failed = True
    raise SystemExit(_FAILED if failed else _PASSED)


def _regex(text: str | None) -> re.Pattern[str]:
    try:
        return re.compile(text or "")
    except re.error as problem:
        what = f"--run: {text!r} is not a regular expression: {problem}"
        raise click.UsageError(what) from None


def _variables(written: Iterable[str]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for text in written:
        parts = _VARIABLE.fullmatch(text)
        if parts is None:
            raise click.UsageError(f"--env {text!r} is not NAME=VALUE")
        variables[parts[1]] = parts[2]
    return variables


def _report(found: FoundTests, suites: Sequence[Suite]) -> Report:
    """Return what is wrong with the files; if anything is, no test runs."""
    sources = dict(found.sources)
    files = [_file_report(str(path), problems) for path, problems in found.problems.items()]
    for suite in suites:
        sources |= suite.examined.sources
        report = _file_report(str(suite.routes), suite.problems)
        files.append(replace(report, checked=suite.examined.checked))
    return Report(tuple(files), sources)


def _file_report(file: str, problems: Iterable[Diagnostic]) -> FileReport:
    found = tuple(sorted(problems))
    codes = {it.code for it in found if (it.file, it.line, it.column) == (file, 1, 1)}
    exit_code = _FAILED if found else _PASSED
    if "file-not-found" in codes:
        exit_code = _MISSING
    elif codes & {"file-is-a-folder", "file-not-readable"}:
        exit_code = _UNREADABLE
    return FileReport(file, found, counted(len(found), "error"), exit_code=exit_code)


def _nothing_to_run(suites: Sequence[Suite], wanted: str | None) -> str:
    if count := sum(len(suite.tests) for suite in suites):
        return f"no test name matches {wanted!r} ({counted(count, 'test')})"
    files = ", ".join(str(suite.routes) for suite in suites)
    return (
        f"{files}: no tests; write them under `tests` in the routes file, or in a *.test.yaml file "
        "beside it"
    )


def _print(results: Sequence[SuiteResult], report: Report, form: Form, *, verbose: bool) -> None:
    if form == "json":
        sys.stdout.write(json_of(results, report))
        return
    if form == "text":
        for suite in results:
            print_suite(suite, verbose=verbose)
    else:
        sys.stdout.write(github_of(results, report) if form == "github" else junit_of(results))
    for suite in results:
        if suite.coverage:
            print_coverage(suite, err=form != "text")


def _print_report(report: Report, form: Form) -> None:
    """Print what is wrong with the files, when no test ran."""
    match form:
        case "text":
            print_diagnostics(report.diagnostics, report.sources)
            print_result(f"no test was run: {counted(len(report.diagnostics), 'error')}")
        case "json":
            sys.stdout.write(json_of((), report))
        case "github":
            sys.stdout.write(github_of((), report))
        case "junit":
            from lambdo_router.cli.output.junit import junit_of_files

            sys.stdout.write(junit_of_files(report))
