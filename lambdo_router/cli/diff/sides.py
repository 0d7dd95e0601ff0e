"""The two routes files that `diff` compares, wherever they come from."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lambdo_router.cli.loading import examine
from lambdo_router.cli.revisions import Revision, opened
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.load import Examined, LoadedRoutes, sound

_STDIN = "-"
_NAME_OF_STDIN = Path("<stdin>")


@dataclass(frozen=True, slots=True)
class Read:
    """What one of the two files says."""

    loaded: LoadedRoutes | None
    """None if there are errors."""
    errors: tuple[Diagnostic, ...]
    sources: Mapping[str, Sequence[str]]


def load(written: str) -> Read:
    """
    The routes of a file, of standard input (`-`), or of `REV:path`.

    Raises RevisionError if git has no such file.
    """
    if written == _STDIN:
        return _read(examine(_NAME_OF_STDIN, sys.stdin.buffer.read()))
    if ":" not in written or Path(written).exists():
        return _read(examine(Path(written)))
    with opened(written) as (revision, path):
        examined = examine(path)
        # What it includes or refers to comes to light step by step.
        while sum(map(revision.lay_out, examined.inputs)):
            examined = examine(path)
        return _read(_renamed(examined, revision, written.partition(":")[0]))


def _read(examined: Examined) -> Read:
    loaded = None if examined.errors else sound(examined)
    return Read(loaded, examined.errors, examined.sources)


def _renamed(examined: Examined, revision: Revision, name: str) -> Examined:
    """The same with files called `REV:path`, as git calls them."""

    def called(file: str) -> str:
        path = Path(file)
        inside = path.is_relative_to(revision.folder)
        return f"{name}:{path.relative_to(revision.folder).as_posix()}" if inside else file

    diagnostics = tuple(
        replace(
            one,
            file=called(one.file),
            related=tuple(replace(place, file=called(place.file)) for place in one.related),
        )
        for one in examined.diagnostics
    )
    sources = {called(file): lines for file, lines in examined.sources.items()}
    return replace(examined, diagnostics=diagnostics, sources=sources)
