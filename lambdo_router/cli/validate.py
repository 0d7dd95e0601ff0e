"""`validate`: checks routes files, without a network unless asked."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from glob import glob
from pathlib import Path

import click

from lambdo_router.cli.loading import examine
from lambdo_router.cli.output.printing import print_diagnostics, print_result
from lambdo_router.cli.output.reports import FileReport, Report
from lambdo_router.config.diagnostics import Diagnostic, counted, escape
from lambdo_router.config.load import Examined
from lambdo_router.config.read.files import is_glob

_FINE, _FOUND, _MISSING, _UNREADABLE = range(4)
"""Exit codes."""
_DEFAULT = Path("routes.yaml")
_STDIN = "-"
_NAME_OF_STDIN = Path("<stdin>")
_HOLD_TESTS = (".test.yaml", ".test.yml")
"""Endings of test files, which globs skip."""
_FORMATS = ("text", "json", "github", "sarif", "junit")


def _codes(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Complete `--explain-code`."""
    from lambdo_router.config.codes import catalogue

    return [code for code in catalogue() if code.startswith(incomplete)]


def _explain(ctx: click.Context, _: click.Parameter, code: str | None) -> None:
    """Run `--explain-code`."""
    if code is None:
        return
    from lambdo_router.config.codes import catalogue, explained, likely

    known = catalogue().get(code.strip("[]").lower())
    if known is None:
        raise click.UsageError(f"there is no code {code!r}; {likely(code)}", ctx)
    print_result(explained(known))
    ctx.exit(0)


@click.command()
@click.argument("files", nargs=-1)
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option(
    "--require-env",
    is_flag=True,
    help="Treat an unset variable as an error, as `run` does, not as a warning.",
)
@click.option(
    "--online",
    is_flag=True,
    help="Also check with AWS and Fly: queues, their settings, permissions, apps, regions, time.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="Output format: text for people, JSON, GitHub Actions annotations, SARIF 2.1.0 for code "
    "scanning, or JUnit XML.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing for valid files.")
@click.option(
    "--explain-code",
    metavar="CODE",
    callback=_explain,
    shell_complete=_codes,
    is_eager=True,
    expose_value=False,
    help="Explain a code, as in [unused-queue], and how to fix it; check nothing.",
)
def command(
    files: tuple[str, ...],
    *,
    strict: bool,
    require_env: bool,
    online: bool,
    form: str,
    quiet: bool,
) -> None:
    """
    Check routes files: routes.yaml, or FILES.

    FILES may be quoted globs, with ** for any folders; - is standard input. A file that another one
    includes is checked as a part of it, and a file that is named twice is checked once.

    Every problem is printed as file:line:column: message [code], with its source line. This needs
    no network, no credentials and no variables: an unset variable is a warning, and its value is
    not checked. At the end it lists the checks that were made.

    With --online, files without errors are also checked against AWS and Fly, with the credentials
    and variables that `run` uses. Nothing is sent, received, created or changed.

    A comment `# lambdo: ignore=CODE` on the line, or alone on the line before, suppresses warnings.

    \b
      lambdo-router validate
      lambdo-router validate "deploy/**/*.yaml" --strict --format github
      lambdo-router validate --online --require-env
      lambdo-router validate --explain-code unused-queue

    \b
    Exit codes:
      0  no errors; there may be warnings
      1  errors were found
      2  wrong usage, no file to check, or a named file does not exist
      3  a file cannot be read: it is a folder, or its permissions do not allow it
    The highest of all files counts.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    report = _report(_named(files), strict=strict, require_env=require_env, online=online)
    if form == "text":
        _print(report, quiet=quiet)
    else:
        sys.stdout.write(_rendered(form, report))
    raise SystemExit(report.exit_code)


def _named(files: Sequence[str]) -> list[Path]:
    """Return the named files, each once, in the order named; those of a glob by name."""
    if not files and not _DEFAULT.exists():
        raise click.UsageError(
            f"there is no {_DEFAULT} here; name the files to check, like "
            f"lambdo-router validate deploy/{_DEFAULT}, or write one with lambdo-router init"
        )
    named: dict[str, Path] = {}
    for path in (path for file in files for path in _meant(file)) if files else [_DEFAULT]:
        named.setdefault(os.path.realpath(path), path)
    return list(named.values())


def _meant(file: str) -> Iterable[Path]:
    if file == _STDIN:
        return [_NAME_OF_STDIN]
    if not is_glob(file) or Path(file).exists():
        if file.endswith(_HOLD_TESTS):
            raise click.UsageError(f"{file} holds tests; run them with: lambdo-router test {file}")
        return [Path(file)]
    names = sorted(glob(file, recursive=True))  # noqa: PTH207 - Path.glob takes hidden files too
    found = [Path(name) for name in names if not name.endswith(_HOLD_TESTS)]
    found = [path for path in found if path.is_file()]
    if not found:
        raise click.UsageError(f"no file matches {file!r}")
    return found


def _report(files: Sequence[Path], *, strict: bool, require_env: bool, online: bool) -> Report:
    examined = {path: _examined(path, require_env=require_env) for path in files}
    # An included file is checked with the file that includes it.
    roots = {path: _included_by(path, examined) for path in files}
    if online:
        from lambdo_router.cli.online import examined_online
        from lambdo_router.service.settings import read_settings

        whole = [path for path in files if roots[path] is None]
        found = examined_online([examined[path] for path in whole], read_settings(os.environ))
        examined |= zip(whole, found, strict=True)
    reports = [
        _file_report(path, one, strict=strict, online=online)
        if (root := roots[path]) is None
        else FileReport(str(path), (), f"checked as part of {root}")
        for path, one in examined.items()
    ]
    sources = {file: lines for one in examined.values() for file, lines in one.sources.items()}
    return Report(tuple(reports), sources)


def _examined(path: Path, *, require_env: bool) -> Examined:
    content = sys.stdin.buffer.read() if path == _NAME_OF_STDIN else None
    return examine(path, content, missing="error" if require_env else "warning")


def _included_by(path: Path, examined: Mapping[Path, Examined]) -> Path | None:
    """Return the file that includes this one, or None."""
    for root, one in examined.items():
        if root != path and _has_read(one, path) and not _has_read(examined[path], root):
            return root
    return None


def _has_read(examined: Examined, path: Path) -> bool:
    return os.path.realpath(path) in map(os.path.realpath, examined.sources)


def _file_report(path: Path, examined: Examined, *, strict: bool, online: bool) -> FileReport:
    diagnostics = examined.diagnostics
    if strict:
        diagnostics = tuple(replace(one, severity="error") for one in diagnostics)
    report = FileReport(str(path), diagnostics, "", examined.checked)
    code = _FOUND if report.errors else _FINE
    if not examined.readable:
        missing = any(one.code == "file-not-found" for one in diagnostics)
        code = _MISSING if missing else _UNREADABLE
    summary = _summary(report, examined)
    if online:
        from lambdo_router.cli.online import CHECKED, NOT_CHECKED

        errors = "not checked with AWS and Fly, because the file has errors"
        summary += f"; {NOT_CHECKED if CHECKED[0] in examined.checked else errors}"
    return replace(report, summary=summary, exit_code=code)


def _summary(report: FileReport, examined: Examined) -> str:
    parts: list[str] = []
    if report.errors:
        parts.append(counted(len(report.errors), "error"))
    if report.warnings:
        parts.append(counted(len(report.warnings), "warning"))
    compiled = examined.compiled
    if compiled is not None and not report.errors:
        parts[:0] = [
            counted(len(compiled.routes), "route"),
            counted(len(compiled.queues), "queue"),
            counted(compiled.profiles, "profile"),
        ]
    checked = ", ".join(examined.checked)
    return f"{', '.join(parts)}; checked: {checked}" if checked else ", ".join(parts)


def _print(report: Report, *, quiet: bool) -> None:
    """Print each file's diagnostics, those of shared files once, and a summary line."""
    printed: set[Diagnostic] = set()
    for file in report.files:
        print_diagnostics((one for one in file.diagnostics if one not in printed), report.sources)
        printed.update(file.diagnostics)
        if file.diagnostics or not quiet:
            print_result(f"{escape(file.file)}: {file.summary}")


def _rendered(form: str, report: Report) -> str:
    # Imported here, since only one of them is needed.
    match form:
        case "json":
            from lambdo_router.cli.output.json import json_text as text
        case "github":
            from lambdo_router.cli.output.github import github_text as text
        case "sarif":
            from lambdo_router.cli.output.sarif import sarif_text as text
        case _:
            from lambdo_router.cli.output.junit import junit_of_files as text
    return text(report)
