import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from lambdo_router import __version__
from lambdo_router.cli.output.github import annotation, command, github_text
from lambdo_router.cli.output.json import json_text
from lambdo_router.cli.output.junit import JUnitCase, junit_of_files, junit_text
from lambdo_router.cli.output.reports import FileReport, Report, repository_path
from lambdo_router.cli.output.sarif import sarif_text
from lambdo_router.config.diagnostics import Diagnostic, Related

ERROR = Diagnostic(
    *("routes.yaml", 2, 5, "unknown-key", "unknown key `profle`", "error"),
    end_column=11,
    hint="did you mean `profile`?",
)
WARNING = Diagnostic(
    *("deploy/b c.yaml", 1, 3, "unreachable-route", "no message gets to route `b`", "warning"),
    related=(Related("routes.yaml", 1, 1, "this route takes all of its queue"),),
)
SOURCES = {"routes.yaml": ["routes:", "  - profle: a"], "deploy/b c.yaml": ["- b: 日本"]}
REPORT = Report(
    (
        FileReport("routes.yaml", (ERROR,), "1 error; checked: yaml", ("yaml",), exit_code=1),
        FileReport("deploy/b c.yaml", (WARNING,), "1 route, 1 warning", ("yaml", "shape")),
    ),
    SOURCES,
)
FINE = Report((FileReport("routes.yaml", (), "1 route; checked: yaml", ("yaml",)),), SOURCES)


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


# The report itself


def test_the_diagnostics_of_a_report_are_in_order_and_each_there_once() -> None:
    shared = Report((replace(REPORT.files[0], diagnostics=(ERROR, WARNING)), *REPORT.files))

    assert shared.diagnostics == (WARNING, ERROR)
    assert (shared.errors, shared.warnings) == ((ERROR,), (WARNING,))


@pytest.mark.parametrize(
    ("codes", "expected", "successful"),
    [
        pytest.param([], 0, True, id="no-files"),
        pytest.param([0, 1, 0], 1, True, id="errors"),
        pytest.param([1, 3, 2], 3, False, id="unreadable"),
        pytest.param([2, 0], 2, False, id="missing"),
    ],
)
def test_the_exit_code_of_a_report_is_that_of_its_worst_file(
    codes: list[int], expected: int, *, successful: bool
) -> None:
    report = Report(tuple(FileReport("a", (), "", exit_code=code) for code in codes))

    assert report.exit_code == expected
    assert json.loads(sarif_text(report))["runs"][0]["invocations"] == [
        {"executionSuccessful": successful, "exitCode": expected}
    ]


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_files_are_named_from_the_root_of_the_repository(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy").mkdir()
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.chdir(tmp_path / "deploy")

    assert repository_path("routes.yaml") == "deploy/routes.yaml"
    assert repository_path("../routes.yaml") == "routes.yaml"
    assert repository_path("/elsewhere/routes.yaml") == "/elsewhere/routes.yaml"


# JSON


def test_json_has_the_shape_that_terraform_gives_it() -> None:
    assert json.loads(json_text(REPORT)) == {
        "format_version": "1.0",
        "valid": False,
        "error_count": 1,
        "warning_count": 1,
        "files": [
            {
                "filename": "routes.yaml",
                "valid": False,
                "error_count": 1,
                "warning_count": 0,
                "checked": ["yaml"],
            },
            {
                "filename": "deploy/b c.yaml",
                "valid": True,
                "error_count": 0,
                "warning_count": 1,
                "checked": ["yaml", "shape"],
            },
        ],
        "diagnostics": [
            {
                "severity": "warning",
                "code": "unreachable-route",
                "summary": "no message gets to route `b`",
                "detail": "",
                "range": {
                    "filename": "deploy/b c.yaml",
                    "start": {"line": 1, "column": 3},
                    "end": {"line": 1, "column": 4},
                },
                "snippet": {
                    "context": None,
                    "code": "- b: 日本",
                    "start_line": 1,
                    "highlight_start_offset": 2,
                    "highlight_end_offset": 3,
                    "values": [],
                },
                "related": [
                    {
                        "message": "this route takes all of its queue",
                        "range": {
                            "filename": "routes.yaml",
                            "start": {"line": 1, "column": 1},
                            "end": {"line": 1, "column": 2},
                        },
                    }
                ],
            },
            {
                "severity": "error",
                "code": "unknown-key",
                "summary": "unknown key `profle`",
                "detail": "did you mean `profile`?",
                "range": {
                    "filename": "routes.yaml",
                    "start": {"line": 2, "column": 5},
                    "end": {"line": 2, "column": 11},
                },
                "snippet": {
                    "context": None,
                    "code": "  - profle: a",
                    "start_line": 2,
                    "highlight_start_offset": 4,
                    "highlight_end_offset": 10,
                    "values": [],
                },
                "related": [],
            },
        ],
    }


def test_json_of_files_that_are_fine_is_valid() -> None:
    found = json.loads(json_text(FINE))

    assert (found["valid"], found["error_count"], found["diagnostics"]) == (True, 0, [])
    assert json_text(FINE).endswith("}\n")


@pytest.mark.parametrize(
    ("diagnostic", "code", "start", "end"),
    [
        pytest.param(Diagnostic("a", 1, 3, "c", "m", end_column=4), "abcd", 2, 3, id="a-character"),
        pytest.param(Diagnostic("a", 1, 3, "c", "m"), "abcd", 2, 3, id="no-end"),
        pytest.param(Diagnostic("a", 1, 5, "c", "m"), "abcd", 4, 4, id="behind-the-line"),
        pytest.param(Diagnostic("a", 1, 9, "c", "m", end_column=12), "abcd", 4, 4, id="beyond"),
        pytest.param(
            Diagnostic("a", 1, 3, "c", "m", end_column=2, end_line=2), "abcd", 2, 4, id="two-lines"
        ),
    ],
)
def test_offsets_stay_inside_the_snippet(
    diagnostic: Diagnostic, code: str, start: int, end: int
) -> None:
    report = Report((FileReport("a", (diagnostic,), ""),), {"a": [code, "e"]})
    snippet = json.loads(json_text(report))["diagnostics"][0]["snippet"]

    assert snippet["code"] == code
    assert (snippet["highlight_start_offset"], snippet["highlight_end_offset"]) == (start, end)


def test_there_is_no_snippet_of_a_line_that_is_not_there() -> None:
    report = Report((FileReport("a", (Diagnostic("a", 1, 1, "c", "m"),), ""),), {"a": ()})

    assert json.loads(json_text(report))["diagnostics"][0]["snippet"] is None


# GitHub


def test_github_gets_a_command_for_each_diagnostic_errors_first_then_a_line_for_the_log() -> None:
    assert github_text(REPORT) == (
        "::error file=routes.yaml,line=2,endLine=2,col=5,endColumn=11,title=unknown-key"
        "::unknown key `profle`; did you mean `profile`? [unknown-key]\n"
        "::warning file=deploy/b c.yaml,line=1,endLine=1,col=3,title=unreachable-route"
        "::no message gets to route `b` [unreachable-route]"
        "%0Aroutes.yaml:1:1: this route takes all of its queue\n"
        "lambdo-router: routes.yaml: 1 error; checked: yaml\n"
        "lambdo-router: deploy/b c.yaml: 1 route, 1 warning\n"
    )


def test_over_several_lines_github_takes_no_columns() -> None:
    diagnostic = Diagnostic("a", 1, 3, "c", "m", end_column=2, end_line=4)

    assert annotation(diagnostic) == "::error file=a,line=1,endLine=4,title=c::m [c]"


@pytest.mark.parametrize(
    ("message", "file", "expected"),
    [
        pytest.param("100 %", "a", "::error file=a::100 %25", id="percent"),
        pytest.param("a: b, c::d", "a", "::error file=a::a: b, c::d", id="a-message-keeps-colons"),
        pytest.param("a\r\nb", "a", "::error file=a::a%0D%0Ab", id="line-breaks"),
        pytest.param("m", "a:b,c%\n", r"::error file=a%3Ab%2Cc%25\n::m", id="a-property"),
        pytest.param("%0A::stop", "a", "::error file=a::%250A::stop", id="escapes-are-escaped"),
    ],
)
def test_what_means_something_to_github_is_escaped(message: str, file: str, expected: str) -> None:
    assert command("error", message, {"file": file}) == expected


@given(st.text(), st.text(), st.text())
def test_whatever_a_file_quotes_an_annotation_is_one_line_that_can_be_read_back(
    message: str, hint: str, file: str
) -> None:
    line = annotation(Diagnostic(f"x/{file}", 1, 2, "some-code", message, hint=hint))
    name, properties, text = line.removeprefix("::").partition(" ")[0], *read_back(line)

    assert line.isprintable()
    assert (name, properties["line"], properties["title"]) == ("error", "1", "some-code")
    assert text.endswith(" [some-code]")


def read_back(line: str) -> tuple[dict[str, str], str]:
    """As the runner of GitHub reads a command: up to the first `::`, then by commas."""
    inside, _, message = line.removeprefix("::").partition("::")
    listed = inside.partition(" ")[2]
    return dict(part.split("=", 1) for part in listed.split(",")), message


def test_a_file_cannot_pass_for_a_command() -> None:
    report = Report((FileReport("::stop-commands::x", (), "fine"),))

    assert github_text(report) == "lambdo-router: ::stop-commands::x: fine\n"


# SARIF


def test_sarif_fits_the_schema_of_its_standard() -> None:
    problems = Draft202012Validator(SARIF).iter_errors(json.loads(sarif_text(REPORT)))

    assert [f"{problem.json_path}: {problem.message}" for problem in problems] == []


def test_sarif_names_rules_places_and_related_places() -> None:
    log = json.loads(sarif_text(REPORT))
    [run] = log["runs"]
    driver = run["tool"]["driver"]

    assert (log["version"], driver["semanticVersion"]) == ("2.1.0", __version__)
    assert [rule["id"] for rule in driver["rules"]] == ["unknown-key", "unreachable-route"]
    assert driver["rules"][0]["shortDescription"] == {"text": "A key is unknown."}
    assert driver["rules"][1]["defaultConfiguration"] == {"level": "warning"}
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 1}]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["results"] == [
        {
            "ruleId": "unreachable-route",
            "ruleIndex": 1,
            "level": "warning",
            "message": {"text": "no message gets to route `b`"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "deploy/b%20c.yaml"},
                        "region": {"startLine": 1, "startColumn": 3},
                    }
                }
            ],
            "relatedLocations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "routes.yaml"},
                        "region": {"startLine": 1, "startColumn": 1},
                    },
                    "message": {"text": "this route takes all of its queue"},
                }
            ],
        },
        {
            "ruleId": "unknown-key",
            "ruleIndex": 0,
            "level": "error",
            "message": {"text": "unknown key `profle`; did you mean `profile`?"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": "routes.yaml"},
                        "region": {"startLine": 2, "startColumn": 5, "endColumn": 11},
                    }
                }
            ],
        },
    ]


def test_sarif_of_files_that_are_fine_has_no_results() -> None:
    [run] = json.loads(sarif_text(FINE))["runs"]

    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_sarif_of_a_file_outside_the_repository_has_its_absolute_uri() -> None:
    diagnostic = Diagnostic("/elsewhere/a.yaml", 1, 1, "some-code", "m", end_line=2, end_column=3)
    file = FileReport("/elsewhere/a.yaml", (diagnostic,), "", exit_code=3)
    log = json.loads(sarif_text(Report((file,))))
    [run] = log["runs"]
    [place] = run["results"][0]["locations"]

    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///elsewhere/a.yaml"},
        "region": {"startLine": 1, "startColumn": 1, "endLine": 2, "endColumn": 3},
    }
    assert run["invocations"][0]["executionSuccessful"] is False
    assert list(Draft202012Validator(SARIF).iter_errors(log)) == []


def closed(required: list[str], **properties: object) -> dict[str, object]:
    return {
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": False,
    }


def listed(items: object) -> dict[str, object]:
    return {"type": "array", "items": items, "uniqueItems": True}


TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 1}
LEVEL = {"enum": ["none", "note", "warning", "error"]}
MESSAGE = closed(["text"], text=TEXT)
BOTH_FORMS = closed(["text"], text=TEXT, markdown=TEXT)
LOCATION = closed(
    [],
    physicalLocation=closed(
        ["artifactLocation"],
        artifactLocation=closed([], uri={"type": "string", "pattern": r"^[!-~]+$"}),
        region=closed([], startLine=COUNT, startColumn=COUNT, endLine=COUNT, endColumn=COUNT),
    ),
    message=MESSAGE,
)
SARIF: dict[str, Any] = closed(
    ["version", "runs"],
    **{"$schema": TEXT},
    version={"const": "2.1.0"},
    runs=listed(
        closed(
            ["tool"],
            tool=closed(
                ["driver"],
                driver=closed(
                    ["name"],
                    name=TEXT,
                    semanticVersion=TEXT,
                    rules=listed(
                        closed(
                            ["id"],
                            id=TEXT,
                            shortDescription=BOTH_FORMS,
                            fullDescription=BOTH_FORMS,
                            help=BOTH_FORMS,
                            defaultConfiguration=closed([], level=LEVEL),
                        )
                    ),
                ),
            ),
            columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            invocations=listed(
                closed(
                    ["executionSuccessful"],
                    executionSuccessful={"type": "boolean"},
                    exitCode={"type": "integer"},
                )
            ),
            results=listed(
                closed(
                    ["message"],
                    ruleId=TEXT,
                    ruleIndex={"type": "integer", "minimum": -1},
                    level=LEVEL,
                    message=MESSAGE,
                    locations=listed(LOCATION),
                    relatedLocations=listed(LOCATION),
                )
            ),
        )
    ),
)
"""What the standard's schema says of the parts that are used here."""


# JUnit


def test_junit_has_a_case_for_each_file() -> None:
    assert junit_of_files(REPORT) == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<testsuites name="lambdo-router" tests="2" failures="1" errors="0" skipped="0">\n'
        '  <testsuite name="validate" tests="2" failures="1" errors="0" skipped="0">\n'
        '    <testcase name="routes.yaml" classname="validate" file="routes.yaml" line="2">\n'
        '      <failure message="1 error; checked: yaml" type="unknown-key">'
        "routes.yaml:2:5: unknown key `profle`; did you mean `profile`? [unknown-key]\n"
        "2 |   - profle: a\n"
        "  |     ^~~~~~</failure>\n"
        "      <system-out>1 error; checked: yaml</system-out>\n"
        "    </testcase>\n"
        '    <testcase name="deploy/b c.yaml" classname="validate" file="deploy/b c.yaml">\n'
        "      <system-out>"
        "deploy/b c.yaml:1:3: warning: no message gets to route `b` [unreachable-route]\n"
        "1 | - b: 日本\n"
        "  |   ^\n"
        "routes.yaml:1:1: note: this route takes all of its queue\n"
        "1 | routes:\n"
        "  | ^\n"
        "1 route, 1 warning</system-out>\n"
        "    </testcase>\n"
        "  </testsuite>\n"
        "</testsuites>\n"
    )


@given(st.text(), st.text())
def test_whatever_is_said_the_xml_can_be_read(line: str, text: str) -> None:
    case = JUnitCase(line, line, file=line, failure=line, details=text, output=text)
    root = parsed(junit_text({line: [case]}))

    assert len(list(root.iter("testcase"))) == 1


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text.encode())  # noqa: S314 - it is our own


def test_no_report_has_anything_that_a_terminal_would_act_upon() -> None:
    nasty = "\x1b[31m\u202e\x00</failure>]]>"
    diagnostic = Diagnostic(nasty, 1, 1, "some-code", nasty, hint=nasty)
    report = Report((FileReport(nasty, (diagnostic,), "1 error", exit_code=1),), {nasty: [nasty]})

    for reported in (github_text, sarif_text, json_text, junit_of_files):
        text = reported(report)
        assert not {"\x1b", "\u202e", "\x00"} & set(text)
    assert json.loads(json_text(report))["diagnostics"][0]["summary"] == nasty
