"""
The report as workflow commands of GitHub Actions, which become annotations on a pull request.

One line a diagnostic, errors first: GitHub shows ten errors and ten warnings of a step, and the
whole list in its log. The lines that begin with the name of a file are only for that log.
"""

from collections.abc import Iterator

from lambdo_router.cli.output.reports import FileReport, Report, repository_path, told
from lambdo_router.config.diagnostics import Diagnostic, Severity, escape


def github_text(report: Report) -> str:
    """One line for each diagnostic, then one for each file, all with a line break at their ends."""
    commands = [annotation(one) for one in (*report.errors, *report.warnings)]
    return "".join(f"{line}\n" for line in [*commands, *map(_logged, report.files)])


def annotation(diagnostic: Diagnostic) -> str:
    """`::error file=routes.yaml,line=3,...::message`, without a line break."""
    lines = [f"{told(diagnostic)} [{diagnostic.code}]"]
    for related in diagnostic.related:
        place = f"{repository_path(related.file)}:{related.line}:{related.column}"
        lines.append(f"{place}: {related.message}")
    return command(
        diagnostic.severity,
        "\n".join(map(escape, lines)),
        dict(_properties(diagnostic)),
    )


def command(kind: Severity, message: str, properties: dict[str, str | int]) -> str:
    """A workflow command; what means something to GitHub in message and properties is escaped."""
    listed = ",".join(
        f"{name}={_escaped(escape(str(value)), _IN_PROPERTY)}" for name, value in properties.items()
    )
    return f"::{kind} {listed}::{_escaped(message, _IN_MESSAGE)}"


def _properties(diagnostic: Diagnostic) -> Iterator[tuple[str, str | int]]:
    yield "file", repository_path(diagnostic.file)
    yield "line", diagnostic.line
    if diagnostic.end_line is not None and diagnostic.end_line != diagnostic.line:
        yield "endLine", diagnostic.end_line  # GitHub takes no columns over several lines
    else:
        yield "endLine", diagnostic.line
        yield "col", diagnostic.column
        if diagnostic.end_column is not None:
            yield "endColumn", diagnostic.end_column
    yield "title", diagnostic.code


def _logged(file: FileReport) -> str:
    """Such a line never begins with `::`, so it is no command whatever the file is called."""
    return f"lambdo-router: {escape(file.file)}: {file.summary}"


_IN_MESSAGE = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_IN_PROPERTY = (*_IN_MESSAGE, (":", "%3A"), (",", "%2C"))


def _escaped(text: str, signs: tuple[tuple[str, str], ...]) -> str:
    for sign, instead in signs:
        text = text.replace(sign, instead)
    return text
