"""
The report as one JSON object, in the shape of Terraform's `validate -json`.

Terraform's keys mean what they mean there, so that tools made for it read this too. Two things
differ: columns and offsets count code points, and a position has no `byte`. Beyond Terraform's,
there are `files`, and `code` and `related` of a diagnostic. Programs should pass over keys that
they do not know: `format_version` grows in its second number when keys are added.
"""

import json
from collections.abc import Mapping, Sequence

from lambdo_router.cli.output.reports import FileReport, Report
from lambdo_router.config.diagnostics import Diagnostic, Related

FORMAT_VERSION = "1.0"


def json_text(report: Report) -> str:
    """The report as indented JSON in ASCII, with a line break at its end."""
    found = {
        "format_version": FORMAT_VERSION,
        "valid": not report.errors and not report.exit_code,
        "error_count": len(report.errors),
        "warning_count": len(report.warnings),
        "files": [_file(file) for file in report.files],
        "diagnostics": [_diagnostic(one, report.sources) for one in report.diagnostics],
    }
    return json.dumps(found, indent=2) + "\n"


def _file(file: FileReport) -> dict[str, object]:
    return {
        "filename": file.file,
        "valid": not file.errors and not file.exit_code,
        "error_count": len(file.errors),
        "warning_count": len(file.warnings),
        "checked": list(file.checked),
    }


def _diagnostic(diagnostic: Diagnostic, sources: Mapping[str, Sequence[str]]) -> dict[str, object]:
    return {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "summary": diagnostic.message,
        "detail": diagnostic.hint,
        "range": {
            "filename": diagnostic.file,
            "start": {"line": diagnostic.line, "column": diagnostic.column},
            "end": _end(diagnostic),
        },
        "snippet": _snippet(diagnostic, sources.get(diagnostic.file, ())),
        "related": [_related(one) for one in diagnostic.related],
    }


def _end(diagnostic: Diagnostic) -> dict[str, int]:
    """The place after the last character; where that is not known, after the first."""
    line = diagnostic.line if diagnostic.end_line is None else diagnostic.end_line
    column = diagnostic.end_column
    return {"line": line, "column": diagnostic.column + 1 if column is None else column}


def _snippet(diagnostic: Diagnostic, lines: Sequence[str]) -> dict[str, object] | None:
    """The source line; None if the file has none of that number."""
    if not 1 <= diagnostic.line <= len(lines):
        return None
    code = lines[diagnostic.line - 1]
    end = _end(diagnostic)
    stop = end["column"] - 1 if end["line"] == diagnostic.line else len(code)
    start = min(diagnostic.column - 1, len(code))
    return {
        "context": None,
        "code": code,
        "start_line": diagnostic.line,
        "highlight_start_offset": start,
        "highlight_end_offset": max(start, min(stop, len(code))),
        "values": [],
    }


def _related(related: Related) -> dict[str, object]:
    start = {"line": related.line, "column": related.column}
    return {
        "message": related.message,
        "range": {
            "filename": related.file,
            "start": start,
            "end": {"line": related.line, "column": related.column + 1},
        },
    }
