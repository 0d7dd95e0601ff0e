"""
The report as SARIF 2.1.0, which GitHub's code scanning, GitLab and editors read.

One run with one result per diagnostic. The rules are the codes that occur, with the texts of the
catalogue. Files are named from the root of the repository, as code scanning expects.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from lambdo_router import __version__
from lambdo_router.cli.output.reports import Report, message_and_hint, repository_path
from lambdo_router.config.codes import catalogue
from lambdo_router.config.diagnostics import Diagnostic, escape

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif_text(report: Report) -> str:
    """Return the report as indented ASCII JSON, ending in a newline."""
    codes = sorted({one.code for one in report.diagnostics})
    rules = {code: index for index, code in enumerate(codes)}
    every_file_was_read = report.exit_code <= 1
    run = {
        "tool": {
            "driver": {
                "name": "lambdo-router",
                "semanticVersion": __version__,
                "rules": list(map(_rule, codes)),
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": every_file_was_read, "exitCode": report.exit_code}],
        "results": [_result(one, rules) for one in report.diagnostics],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _rule(code: str) -> dict[str, object]:
    known = catalogue().get(code)
    if known is None:
        return {"id": code}
    text = f"{known.means}\n\n{known.fix}"
    return {
        "id": code,
        "shortDescription": {"text": known.summary},
        "fullDescription": {"text": known.means},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": known.severities[0]},
    }


def _result(diagnostic: Diagnostic, rules: Mapping[str, int]) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": diagnostic.code,
        "ruleIndex": rules[diagnostic.code],
        "level": diagnostic.severity,
        "message": {"text": escape(message_and_hint(diagnostic))},
        "locations": [_location(diagnostic.file, _region(diagnostic))],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {
                **_location(one.file, {"startLine": one.line, "startColumn": one.column}),
                "message": {"text": escape(one.message)},
            }
            for one in diagnostic.related
        ]
    return result


def _location(file: str, region: Mapping[str, int]) -> dict[str, object]:
    path = repository_path(file)
    uri = Path(path).as_uri() if Path(path).is_absolute() else quote(path)
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}


def _region(diagnostic: Diagnostic) -> dict[str, int]:
    """Return the region; without an end it reaches to the end of the line."""
    region = {"startLine": diagnostic.line, "startColumn": diagnostic.column}
    if diagnostic.end_line is not None:
        region["endLine"] = diagnostic.end_line
    if diagnostic.end_column is not None:
        region["endColumn"] = diagnostic.end_column
    return region
