"""
Routes files as they are in a revision of a git repository, with all that they include or refer to.

What the loader looks for is laid out in a folder for it, file by file, as it looks for it: the
working tree is not touched, and nothing is fetched that nobody reads.
"""

import os
import posixpath
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from lambdo_router.core.errors import LambdoError

_FOLDER: Final = "tree"
_LINK: Final = "120000"
_MOST_LINKS = 10


class RevisionError(LambdoError):
    """Git does not have what was asked for, or is not there."""


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    kind: Literal["blob", "tree", "commit"]
    name: str
    """The object's, in git."""


@dataclass(slots=True)
class Revision:
    """One revision, laid out in `folder` as far as it was asked for."""

    commit: str
    folder: Path
    _listed: dict[str, dict[str, _Entry]] = field(default_factory=dict)
    _laid_out: set[str] = field(default_factory=set)

    def has_file(self, path: str) -> bool:
        """Whether there is a file at this path from the root of the repository."""
        entry = self._entry(path)
        return entry is not None and entry.kind == "blob"

    def lay_out(self, path: Path) -> bool:
        """
        Make what stands at `path`, which is inside the folder, what the revision has there.

        A folder gets empty files in place of its files, until these are asked for themselves. False
        if that was done before, or the revision has nothing there.
        """
        inside = os.path.relpath(os.path.abspath(path), self.folder)  # noqa: PTH100 - links stay
        return self._lay_out(Path(inside).as_posix(), _MOST_LINKS)

    def _lay_out(self, path: str, links: int) -> bool:
        if path in self._laid_out:
            return False
        self._laid_out.add(path)
        entry = self._entry(path)
        if entry is None:
            return False
        target = self.folder / path
        if entry.kind == "tree":
            target.mkdir(parents=True, exist_ok=True)
            for name, child in self._list(path).items():
                if child.kind == "blob":
                    (target / name).touch()
                else:
                    (target / name).mkdir(exist_ok=True)
            return True
        content = _git("cat-file", "blob", entry.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if entry.mode != _LINK:
            target.write_bytes(content)
        elif links:
            link = os.fsdecode(content)
            leads_to = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
            if leads_to.startswith(("/", "../")):
                return True  # what is on this machine's disk is in no revision
            target.symlink_to(link)
            self._lay_out(leads_to, links - 1)
        return True

    def _entry(self, path: str) -> _Entry | None:
        if path.startswith("../"):
            return None
        if path == ".":
            return _Entry("040000", _FOLDER, self.commit)
        above, name = posixpath.split(path)
        return self._list(above or ".").get(name)

    def _list(self, folder: str) -> dict[str, _Entry]:
        """What is in a folder, by name; nothing if there is none."""
        if folder not in self._listed:
            entry = self._entry(folder)
            found: dict[str, _Entry] = {}
            if entry is not None and entry.kind == _FOLDER:
                for line in filter(
                    None, _git("ls-tree", "-z", "--full-tree", entry.name).split(b"\0")
                ):
                    about, _, name = line.partition(b"\t")
                    mode, kind, identity = about.decode().split(" ")
                    found[os.fsdecode(name)] = _Entry(mode, kind, identity)  # type: ignore[arg-type]
            self._listed[folder] = found
        return self._listed[folder]


@contextmanager
def opened(written: str) -> Iterator[tuple[Revision, Path]]:
    """
    The revision of `REV:path`, and the path's place in its folder. Raises RevisionError.

    As in git, the path counts from the root of the repository, or with `./` from here.
    """
    name, _, path = written.partition(":")
    prefix = os.fsdecode(_git("rev-parse", "--show-prefix")).rstrip("\n")
    from_here = path.startswith(("./", "../"))
    inside = posixpath.normpath(posixpath.join(prefix, path) if from_here else path)
    with tempfile.TemporaryDirectory(prefix="lambdo-router-") as folder:
        revision = Revision(_commit(written, name), Path(folder).resolve())
        if not revision.has_file(inside):
            here = posixpath.normpath(posixpath.join(prefix, path))
            hint = f"; did you mean {name}:./{path}, the one in this folder?"
            raise RevisionError(
                f"{written}: revision {name} has no file {path!r}"
                + (hint if revision.has_file(here) else "")
            )
        revision.lay_out(revision.folder / inside)
        yield revision, revision.folder / inside


def _commit(written: str, name: str) -> str:
    try:
        if not name.startswith("-"):
            return _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").decode().strip()
    except RevisionError:
        pass
    raise RevisionError(
        f"{written}: git knows no revision {name!r} here; name a commit, a branch or a tag"
    )


def _git(*arguments: str) -> bytes:
    """What git says. Raises RevisionError with what it says instead."""
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - the user's own git, wherever it is
            capture_output=True,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise RevisionError(f"git cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise RevisionError(f"git {arguments[0]}: {said[-1] if said else 'failed'}")
    return done.stdout
