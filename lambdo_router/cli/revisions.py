"""
Routes files in a revision of a git repository, with all that they include or refer to.

Files are checked out into a temporary folder one by one, as the loader looks for them: the working
tree is not touched, and no file is extracted that the loader does not read.
"""

import os
import posixpath
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lambdo_router.core.errors import LambdoError

_LINK: Final = "120000"
_MOST_LINKS = 10


class RevisionError(LambdoError):
    """Git does not have what was asked for, or cannot be run."""


class Revision:
    """One revision, checked out into `folder` as far as it was asked for."""

    def __init__(self, commit: str, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, tuple[str, str]] = {}
        """Mode and object name of every file, by its path from the root of the repository."""
        for line in _git("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
            about, _, path = line.partition(b"\t")
            mode, kind, object_name = about.decode().split(" ")
            if kind == "blob":  # and not the commit of a submodule
                self._files[os.fsdecode(path)] = mode, object_name
        self._checked_out: set[str] = set()

    def has_file(self, path: str) -> bool:
        """Return whether there is a file at this path from the root of the repository."""
        return path in self._files

    def check_out(self, path: Path) -> bool:
        """
        Write what the revision has at `path`, which is inside the folder.

        The files of a folder stay empty until they are asked for themselves. False if `path` was
        checked out before, or the revision has nothing there.
        """
        inside = os.path.relpath(os.path.abspath(path), self.folder)  # noqa: PTH100 - links stay
        return self._check_out(Path(inside).as_posix(), _MOST_LINKS)

    def _check_out(self, path: str, links: int) -> bool:
        if path in self._checked_out:
            return False
        self._checked_out.add(path)
        if path not in self._files:
            return self._check_out_folder("" if path == "." else f"{path}/")
        mode, object_name = self._files[path]
        content, target = _git("cat-file", "blob", object_name), self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if mode != _LINK:
            target.write_bytes(content)
        elif links:
            link = os.fsdecode(content)
            leads_to = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
            if leads_to.startswith(("/", "../")):
                return True  # files outside of the repository belong to no revision
            target.symlink_to(link)
            self._check_out(leads_to, links - 1)
        return True

    def _check_out_folder(self, prefix: str) -> bool:
        inside = {file.removeprefix(prefix) for file in self._files if file.startswith(prefix)}
        for file in inside:
            name, is_folder, _ = file.partition("/")
            target = self.folder / prefix / name
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
        return bool(inside)


@contextmanager
def opened(named: str) -> Iterator[tuple[Revision, Path]]:
    """
    Check out `REV:path`; yield the revision and where the file is now. Raises RevisionError.

    As in git, the path is relative to the root of the repository, or with `./` to the current
    folder.
    """
    name, _, path = named.partition(":")
    prefix = os.fsdecode(_git("rev-parse", "--show-prefix")).rstrip("\n")
    from_here = path.startswith(("./", "../"))
    inside = posixpath.normpath(posixpath.join(prefix, path) if from_here else path)
    with tempfile.TemporaryDirectory(prefix="lambdo-router-") as folder:
        revision = Revision(_commit(named, name), Path(folder).resolve())
        if not revision.has_file(inside):
            here = posixpath.normpath(posixpath.join(prefix, path))
            hint = f"; did you mean {name}:./{path}, the one in this folder?"
            raise RevisionError(
                f"{named}: revision {name} has no file {path!r}"
                + (hint if revision.has_file(here) else "")
            )
        revision.check_out(revision.folder / inside)
        yield revision, revision.folder / inside


def _commit(named: str, revision: str) -> str:
    try:
        if not revision.startswith("-"):
            found = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
            return found.decode().strip()
    except RevisionError:
        pass
    raise RevisionError(
        f"{named}: git has no revision {revision!r} here; name a commit, a branch or a tag"
    )


def _git(*arguments: str) -> bytes:
    """Run git and return its output. Raises RevisionError with its last message."""
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
