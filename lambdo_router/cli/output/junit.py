"""
Results as JUnit's XML, which GitLab, Jenkins, CircleCI and others show as tests.

There is no one schema of it: this is what the readers have in common. Suites hold cases; a case has
failed if it has a failure, and is skipped if it says why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from lambdo_router.cli.output.reports import FileReport, Report, repository_path
from lambdo_router.config.diagnostics import escape, render


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a case has failed: one line, and the whole story in several."""

    message: str
    text: str = ""
    kind: str = "failure"


@dataclass(frozen=True, slots=True)
class Case:
    """One test. `seconds` is None where nobody has measured."""

    name: str
    group: str
    """What readers show before the name: JUnit's class name."""
    file: str = ""
    line: int | None = None
    seconds: float | None = None
    failure: Failure | None = None
    skipped: str | None = None
    """Why it was not run."""
    output: str = ""
    """What else there is to say."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases that belong together."""

    name: str
    cases: Sequence[Case]


def junit_text(suites: Sequence[Suite], name: str = "lambdo-router") -> str:
    """The suites as XML, with a line break at its end; any text may be in them."""
    cases = [case for suite in suites for case in suite.cases]
    root = ET.Element("testsuites", {"name": _attribute(name), **_counts(cases)})
    for suite in suites:
        attributes = {"name": _attribute(suite.name), **_counts(suite.cases)}
        inside = ET.SubElement(root, "testsuite", attributes)
        for case in suite.cases:
            _add(inside, case)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def junit_of_files(report: Report) -> str:
    """A case for each file: failed with its errors; its warnings are what else there is to say."""
    suite = Suite("validate", [_case(file, report) for file in report.files])
    return junit_text([suite])


def _case(file: FileReport, report: Report) -> Case:
    def texts(severity: str) -> str:
        return "\n".join(
            render(one, report.sources.get(one.file, ()), report.sources)
            for one in file.diagnostics
            if one.severity == severity
        )

    failure = None
    if file.errors:
        failure = Failure(file.summary, texts("error"), kind=file.errors[0].code)
    return Case(
        name=file.file,
        group="validate",
        file=repository_path(file.file),
        line=file.errors[0].line if file.errors else None,
        failure=failure,
        output="\n".join(filter(None, [texts("warning"), file.summary])),
    )


def _add(suite: ET.Element, case: Case) -> None:
    attributes = {"name": _attribute(case.name), "classname": _attribute(case.group)}
    if case.file:
        attributes["file"] = _attribute(case.file)
    if case.line is not None:
        attributes["line"] = str(case.line)
    if case.seconds is not None:
        attributes["time"] = f"{case.seconds:.3f}"
    element = ET.SubElement(suite, "testcase", attributes)
    if case.failure is not None:
        failure = case.failure
        labels = {"message": _attribute(failure.message), "type": _attribute(failure.kind)}
        ET.SubElement(element, "failure", labels).text = _text(failure.text)
    elif case.skipped is not None:
        ET.SubElement(element, "skipped", {"message": _attribute(case.skipped)})
    if case.output:
        ET.SubElement(element, "system-out").text = _text(case.output)


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    cases = list(cases)
    failed = sum(case.failure is not None for case in cases)
    skipped = sum(case.failure is None and case.skipped is not None for case in cases)
    counts = {"tests": len(cases), "failures": failed, "errors": 0, "skipped": skipped}
    attributes = {name: str(count) for name, count in counts.items()}
    seconds = [case.seconds for case in cases if case.seconds is not None]
    return {**attributes, "time": f"{sum(seconds):.3f}"} if seconds else attributes


def _attribute(text: str) -> str:
    """On one line; XML has no way to write a control character."""
    return escape(text)


def _text(text: str) -> str:
    return "\n".join(map(escape, text.split("\n")))
