"""`validate`: everything about routes files that can be known without a network."""

import os
from pathlib import Path

import click

from lambdo_router.cli.printing import counted, print_diagnostics, print_result
from lambdo_router.config.load import Examined, examine_routes

_FOUND, _NO_SUCH_FILE = 1, 2


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--require-env",
    is_flag=True,
    help="Take a variable that is not set for an error, as `run` does, and not for a warning.",
)
def command(files: tuple[Path, ...], *, require_env: bool) -> None:
    """
    Check routes files: routes.yaml, or the FILES that are named.

    Every problem of a file is printed as file:line:column: message [code], with the line it is
    in. Needs no network, no credentials and no variables: a variable that is not set is a
    warning, and what it stands for is not checked.

    Exit codes: 0 no errors (there may be warnings), 1 errors, 2 a file cannot be read.
    """
    codes = [_validate(file, require_env=require_env) for file in files or (Path("routes.yaml"),)]
    raise SystemExit(max(codes))


def _validate(file: Path, *, require_env: bool) -> int:
    """Check one file and print what was found; the exit code that it asks for."""
    examined = examine_routes(
        file,
        os.environ,
        missing="error" if require_env else "warning",
        default_app=os.environ.get("LAMBDO_FLY_APP") or os.environ.get("FLY_APP_NAME", ""),
    )
    print_diagnostics(examined.diagnostics, examined.sources)
    print_result(f"{file}: {_summary(examined)}")
    if not examined.readable:
        return _NO_SUCH_FILE
    return _FOUND if examined.errors else 0


def _summary(examined: Examined) -> str:
    parts: list[str] = []
    if examined.errors:
        parts.append(counted(len(examined.errors), "error"))
    if examined.warnings:
        parts.append(counted(len(examined.warnings), "warning"))
    compiled = examined.compiled
    if compiled is not None and not examined.errors:
        parts[:0] = [
            counted(len(compiled.routes), "route"),
            counted(len(compiled.queues), "queue"),
            counted(compiled.profiles, "profile"),
        ]
    checked = ", ".join(examined.checked)
    return f"{', '.join(parts)}; checked: {checked}" if checked else ", ".join(parts)
