"""
The last good copy of remote routes, on disk.

    LAMBDO_ROUTES_CACHE/
      example.com-routes.yaml-5f0c.../    one folder for each address
        good -> v-8a1b...                 what a start falls back on
        v-8a1b.../files/routes.yaml ...   as it was fetched
        v-8a1b.../manifest.json           when, and the digest of each file
        loading-.../                      what is being fetched

A copy is complete before `good` points to it, which is one rename. Its digests are checked before
it is used, so a disk that lost half of it in a power cut does no harm.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from lambdo_router.service.remote_routes.address import RoutesAddress

_GOOD: Final = "good"
_VERSION, _LOADING = "v-", "loading-"
_KEPT: Final = 2
"""Copies: the good one, and the one before, which another router may be reading."""
_FORGOTTEN: Final = 3600.0
"""Seconds after which an unfinished fetch belongs to a process that has died."""


@dataclass(frozen=True, slots=True)
class Good:
    """A copy that was loaded and used."""

    folder: Path
    """Of its files."""
    saved_at: float
    """Unix time."""


def cache_folder(setting: str, environment: Mapping[str, str]) -> Path:
    """
    Return the folder for all addresses: LAMBDO_ROUTES_CACHE, or else the user's cache.

    Where that cannot be written, as in a container without a home, it is the folder of temporary
    files. Raises OSError if it cannot be made.
    """
    if setting:
        return _made(Path(setting))
    home = environment.get("XDG_CACHE_HOME") or os.path.join(environment.get("HOME", ""), ".cache")  # noqa: PTH118 - HOME may be missing
    with suppress(OSError):
        if os.path.isabs(home):  # noqa: PTH117 - it is a text
            return _made(Path(home) / "lambdo-router")
    own = _made(Path(tempfile.gettempdir()) / f"lambdo-router-{os.getuid()}")
    if own.stat().st_uid != os.getuid():
        raise PermissionError(13, "it belongs to somebody else", str(own))
    return own


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "it cannot be written", str(folder))
    return folder


class Cache:
    """The copies of one address. Not for two threads at a time; several processes may share it."""

    def __init__(self, root: Path, address: RoutesAddress) -> None:
        """`root` is there. The address's folder is made with the first copy."""
        identity = f"{address.url_of(address.name)} {address.user}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:12]
        name = re.sub("[^A-Za-z0-9.-]+", "-", f"{address.host}-{address.name}")[:60]
        self._folder = root / f"{name}-{digest}"
        self._address = address

    @property
    def folder(self) -> Path:
        return self._folder

    def room(self) -> Path:
        """Return a new, empty folder, to be passed to `keep` or `discard`. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=_LOADING, dir=self._folder))
        (room / "files").mkdir()
        return room / "files"

    def discard(self, files: Path) -> None:
        """Remove what `room` gave."""
        shutil.rmtree(files.parent, ignore_errors=True)

    def keep(self, files: Path, generation: str) -> None:
        """Make what was loaded from this room the last good copy. Raises OSError."""
        digests = {
            path.relative_to(files).as_posix(): _digest(path)
            for path in sorted(files.rglob("*"))
            if path.is_file()
        }
        manifest = {
            "address": self._address.shown,
            "saved_at": time.time(),
            "generation": generation,
            "files": digests,
        }
        _write(files.parent / "manifest.json", json.dumps(manifest, indent=2) + "\n")
        for name in digests:
            _synced(files / name)
        version = self._folder / f"{_VERSION}{uuid4().hex[:12]}"
        files.parent.rename(version)
        link = version.with_name(f"{version.name}.link")
        link.symlink_to(version.name)
        link.replace(self._folder / _GOOD)
        self._clean_up()

    def good(self) -> Good | None:
        """Return the last good copy; None if there is none, or it is damaged."""
        try:
            version = (self._folder / _GOOD).resolve(strict=True)
            manifest = json.loads((version / "manifest.json").read_text("utf-8"))
            files, saved_at = dict(manifest["files"]), float(manifest["saved_at"])
            intact = all(_digest(version / "files" / name) == it for name, it in files.items())
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return Good(version / "files", saved_at) if intact and files else None

    def _clean_up(self) -> None:
        """Remove older copies and unfinished fetches."""
        with suppress(OSError):
            good = (self._folder / _GOOD).resolve()
            versions = sorted(
                self._folder.glob(f"{_VERSION}*"), key=lambda path: path.lstat().st_mtime
            )
            older = [path for path in versions if path != good and path.is_dir()]
            stale = [
                path
                for path in self._folder.glob(f"{_LOADING}*")
                if path.stat().st_mtime < time.time() - _FORGOTTEN
            ]
            for path in (*older[: 1 - _KEPT], *stale):
                shutil.rmtree(path, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    _synced(path)


def _synced(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
