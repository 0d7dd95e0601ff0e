"""
Results as JUnit XML, which GitLab, Jenkins, CircleCI and others show as tests.

It has no standard schema; this is what its readers have in common.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from lambdo_router.cli.output.reports import FileReport, Report, repository_path
from lambdo_router.config.diagnostics import escape, render


@dataclass(frozen=True, slots=True)
class JUnitCase:
    """One test; it failed if it has a `failure`."""

    name: str
    group: str
    """What readers show before the name: JUnit's class name."""
    file: str
    line: int | None = None
    failure: str = ""
    """Why it failed, in one line."""
    details: str = ""
    """The failure in full, in several lines."""
    failure_type: str = "failure"
    output: str = ""


def junit_text(suites: Mapping[str, Sequence[JUnitCase]]) -> str:
    """Return the suites as XML, ending in a newline; any text may be in them."""
    every = [case for cases in suites.values() for case in cases]
    root = ET.Element("testsuites", {"name": "lambdo-router", **_counts(every)})
    for name, cases in suites.items():
        suite = ET.SubElement(root, "testsuite", {"name": escape(name), **_counts(cases)})
        for case in cases:
            _add(suite, case)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def junit_of_files(report: Report) -> str:
    """Return a case for each file: failed if it has errors, with its warnings as output."""
    return junit_text({"validate": [_case(file, report) for file in report.files]})


def _case(file: FileReport, report: Report) -> JUnitCase:
    def rendered(severity: str) -> str:
        return "\n".join(
            render(one, report.sources.get(one.file, ()), report.sources)
            for one in file.diagnostics
            if one.severity == severity
        )

    first = next(iter(file.errors), None)
    return JUnitCase(
        name=file.file,
        group="validate",
        file=repository_path(file.file),
        line=None if first is None else first.line,
        failure="" if first is None else file.summary,
        details=rendered("error"),
        failure_type="" if first is None else first.code,
        output="\n".join(filter(None, [rendered("warning"), file.summary])),
    )


def _add(suite: ET.Element, case: JUnitCase) -> None:
    attributes = {"name": case.name, "classname": case.group, "file": case.file}
    if case.line is not None:
        attributes["line"] = str(case.line)
    element = ET.SubElement(suite, "testcase", _escaped(attributes))
    if case.failure:
        failure = _escaped({"message": case.failure, "type": case.failure_type})
        ET.SubElement(element, "failure", failure).text = _text(case.details)
    if case.output:
        ET.SubElement(element, "system-out").text = _text(case.output)


def _counts(cases: Sequence[JUnitCase]) -> dict[str, str]:
    failures = sum(bool(case.failure) for case in cases)
    return {"tests": f"{len(cases)}", "failures": f"{failures}", "errors": "0", "skipped": "0"}


def _escaped(attributes: Mapping[str, str]) -> dict[str, str]:
    """Escape control characters, which XML cannot hold, and line breaks."""
    return {name: escape(text) for name, text in attributes.items()}


def _text(text: str) -> str:
    return "\n".join(map(escape, text.split("\n")))
