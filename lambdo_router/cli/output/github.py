"""
The report as workflow commands of GitHub Actions, which become annotations on a pull request.

There is one line per diagnostic, errors first: GitHub shows ten errors and ten warnings of a step,
and all of them in its log. The lines that begin with a file name are only for the log.
"""

from lambdo_router.cli.output.reports import FileReport, Report, message_and_hint, repository_path
from lambdo_router.config.diagnostics import Diagnostic, Severity, escape


def github_text(report: Report) -> str:
    """Return one line for each diagnostic, then one for each file, each ending in a newline."""
    commands = [annotation(one) for one in (*report.errors, *report.warnings)]
    return "".join(f"{line}\n" for line in [*commands, *map(_logged, report.files)])


def annotation(one: Diagnostic) -> str:
    """Return `::error file=routes.yaml,line=3,...::message`, without a newline."""
    lines = [f"{message_and_hint(one)} [{one.code}]"]
    for related in one.related:
        place = f"{repository_path(related.file)}:{related.line}:{related.column}"
        lines.append(f"{place}: {related.message}")
    properties: dict[str, str | int] = {"file": repository_path(one.file), "line": one.line}
    if one.end_line is not None and one.end_line != one.line:
        properties["endLine"] = one.end_line  # GitHub accepts no columns over several lines
    else:
        properties |= {"endLine": one.line, "col": one.column}
        if one.end_column is not None:
            properties["endColumn"] = one.end_column
    message = "\n".join(map(escape, lines))
    return command(one.severity, message, properties | {"title": one.code})


def command(kind: Severity, message: str, properties: dict[str, str | int]) -> str:
    """Return a workflow command; message and properties are escaped for GitHub."""
    listed = ",".join(
        f"{name}={_escaped(escape(str(value)), _IN_PROPERTY)}" for name, value in properties.items()
    )
    return f"::{kind} {listed}::{_escaped(message, _IN_MESSAGE)}"


def _logged(file: FileReport) -> str:
    """Return a line that never begins with `::`, so it is no command whatever the file's name."""
    return f"lambdo-router: {escape(file.file)}: {file.summary}"


_IN_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTY = {**_IN_MESSAGE, ":": "%3A", ",": "%2C"}


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)
