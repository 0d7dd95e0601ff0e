"""
The report as one JSON object, in the shape of Terraform's `validate -json`.

Terraform's keys mean what they mean there, so tools made for it read this too. Two things differ:
columns and offsets count code points, and a position has no `byte`. `files`, and `code` and
`related` of a diagnostic, are additions. Readers should ignore unknown keys: adding keys increases
the second number of `format_version`.
"""

import json
from collections.abc import Mapping, Sequence

from lambdo_router.cli.output.reports import FileReport, Report
from lambdo_router.config.diagnostics import Diagnostic

FORMAT_VERSION = "1.0"


def json_text(report: Report) -> str:
    """Return the report as indented ASCII JSON, ending in a newline."""
    return json.dumps(report_json(report), indent=2) + "\n"


def report_json(report: Report) -> dict[str, object]:
    """Return the report as JSON values."""
    return {
        "format_version": FORMAT_VERSION,
        "valid": not report.errors and not report.exit_code,
        "error_count": len(report.errors),
        "warning_count": len(report.warnings),
        "files": [_file(file) for file in report.files],
        "diagnostics": [_diagnostic(one, report.sources) for one in report.diagnostics],
    }


def range_json(
    file: str, line: int, column: int, end_column: int | None = None, end_line: int | None = None
) -> dict[str, object]:
    """Return a range; where its end is not known, it is one character long."""
    return {
        "filename": file,
        "start": {"line": line, "column": column},
        "end": {
            "line": line if end_line is None else end_line,
            "column": column + 1 if end_column is None else end_column,
        },
    }


def _file(file: FileReport) -> dict[str, object]:
    return {
        "filename": file.file,
        "valid": not file.errors and not file.exit_code,
        "error_count": len(file.errors),
        "warning_count": len(file.warnings),
        "checked": list(file.checked),
    }


def _diagnostic(one: Diagnostic, sources: Mapping[str, Sequence[str]]) -> dict[str, object]:
    return {
        "severity": one.severity,
        "code": one.code,
        "summary": one.message,
        "detail": one.hint,
        "range": range_json(one.file, one.line, one.column, one.end_column, one.end_line),
        "snippet": _snippet(one, sources.get(one.file, ())),
        "related": [
            {"message": it.message, "range": range_json(it.file, it.line, it.column)}
            for it in one.related
        ],
    }


def _snippet(one: Diagnostic, lines: Sequence[str]) -> dict[str, object] | None:
    """Return the source line, or None if the file has no such line."""
    if not 1 <= one.line <= len(lines):
        return None
    code = lines[one.line - 1]
    start = min(one.column - 1, len(code))
    if one.end_line not in (None, one.line):
        stop = len(code)
    else:
        stop = one.column if one.end_column is None else one.end_column - 1
    return {
        "context": None,
        "code": code,
        "start_line": one.line,
        "highlight_start_offset": start,
        "highlight_end_offset": max(start, min(stop, len(code))),
        "values": [],
    }
