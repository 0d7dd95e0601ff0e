"""
Everything that a load needs, fetched as the load asks for it.

A `Snapshot` is the content of a store at one time, as far as its routes file leads: each file by
path, None for a missing one, and the names in each folder that a glob searches. Equal snapshots
mean the same, and a snapshot is compared with the store by asking for each file whether it changed.

Several files cannot be read atomically. A fetch during an upload may be half old and half new, so
after a change the store is checked again, a moment later, until it is stable.
"""

import fnmatch
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lambdo_router.config.load import Examined
from lambdo_router.config.read.files import Mirror, expand, is_glob, refusal
from lambdo_router.config.read.include import include_entries
from lambdo_router.service.remote_routes.remote_store import File, RemoteStore, RoutesUnavailable

MOST_FILES: Final = 500
MOST_IN_ALL: Final = 16 * 1024 * 1024
"""Bytes of all files together."""

Load = Callable[[Path, Mirror], Examined]
"""Loads the routes file at a path in a mirror; problems are among the diagnostics."""


@dataclass(frozen=True, slots=True)
class FetchedRoutes:
    """The content of a store at one time."""

    files: Mapping[str, File | None] = field(default_factory=dict)
    listings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The sorted names in folders and below; folders as `RemoteStore.names` takes them."""

    @property
    def contents(self) -> Mapping[Path, str | None]:
        """A digest of each file and listing, in the form that config/watch.py compares."""
        found: dict[Path, str | None] = {
            Path(name): None if file is None else file.digest for name, file in self.files.items()
        }
        for folder, names in self.listings.items():
            listed = "\0".join(names).encode()
            found[Path(f"{folder}*")] = hashlib.sha256(listed).hexdigest()
        return found


class Round:
    """One pass over a store, which requests each file once, however often it is needed."""

    def __init__(self, store: RemoteStore, known: Mapping[str, File]) -> None:
        """Take files as they were in an earlier pass from `known`."""
        self._store = store
        self._known = known
        self.files: dict[str, File | None] = {}
        self.listings: dict[str, tuple[str, ...]] = {}

    def file(self, name: str) -> File | None:
        """Raise RoutesUnavailable."""
        if name not in self.files:
            if len(self.files) >= MOST_FILES:
                raise RoutesUnavailable(
                    f"{self._store.address.shown}: it leads to over {MOST_FILES} files"
                )
            self.files[name] = self._store.read(name, self._known.get(name))
            size = sum(len(file.content) for file in self.files.values() if file is not None)
            if size > MOST_IN_ALL:
                most = MOST_IN_ALL // (1024 * 1024)
                raise RoutesUnavailable(
                    f"{self._store.address.shown}: it leads to over {most} MiB of files"
                )
        return self.files[name]

    def names(self, folder: str) -> tuple[str, ...]:
        """Raise RoutesUnavailable."""
        if folder not in self.listings:
            self.listings[folder] = tuple(sorted(self._store.names(folder)))
        return self.listings[folder]

    def again(self, snapshot: FetchedRoutes) -> FetchedRoutes:
        """Return the present contents of the same files and folders. Raises RoutesUnavailable."""
        return FetchedRoutes(
            {name: self.file(name) for name in snapshot.files},
            {folder: self.names(folder) for folder in snapshot.listings},
        )


def assemble(
    store: RemoteStore, found: Round, folder: Path, load: Load
) -> tuple[FetchedRoutes, Examined]:
    """
    Fetch the routes file and all that it leads to into the empty `folder`, and load it.

    Raises RoutesUnavailable for what cannot be fetched, or cannot be kept on disk.
    """
    mirror = Mirror(folder, store.address.place, store.can_list)
    root = folder / store.address.name
    looked_for: dict[str, None] = {}
    listed: dict[str, None] = {}
    wanted = [store.address.name]
    while wanted:
        for name in wanted:
            looked_for[name] = None
            _keep(folder, name, found.file(name), store)
        examined = load(root, mirror)
        globs = list(_globs(examined)) if store.can_list else []
        folders = {path for text in globs for path in expand(folder, text).watched}
        names = [mirror.inside(path) for path in examined.inputs if path not in folders]
        for text in globs:
            head = _head(text)
            listed[head] = None
            names += [name for name in found.names(head) if _matches(name, text)]
        wanted = [n for n in dict.fromkeys(names) if n is not None and n not in looked_for]
        wanted = [name for name in wanted if _is_sound(name)]
    files = {name: found.files[name] for name in looked_for}
    return FetchedRoutes(files, {head: found.listings[head] for head in listed}), examined


def _keep(folder: Path, name: str, file: File | None, store: RemoteStore) -> None:
    if file is None:
        return
    path = folder / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    except OSError as error:
        shown = store.address.shown_of(name)
        raise RoutesUnavailable(
            f"{shown}: it cannot be kept at {path.parent} ({error.strerror}); "
            "LAMBDO_ROUTES_CACHE names another folder"
        ) from None


def _globs(examined: Examined) -> Iterator[str]:
    """Return the allowed entries of `include` that are globs."""
    if examined.places is None:
        return
    for _, text in include_entries(examined.places.draft.documents[0]):
        if is_glob(text) and refusal(text) is None:
            yield text


def _head(glob: str) -> str:
    """Return the folder above every name that the glob can match."""
    steps = [step for step in glob.split("/") if step not in ("", ".")]
    plain: list[str] = []
    for step in steps[:-1]:
        if is_glob(step):
            break
        plain.append(step)
    return "".join(f"{step}/" for step in plain)


def _matches(name: str, glob: str) -> bool:
    """Return whether the glob matches the file name, as `expand` does on disk."""
    steps = [step for step in glob.split("/") if step not in ("", ".")]
    parts = name.split("/")
    return len(parts) == len(steps) and all(
        fnmatch.fnmatchcase(part, step) and not (part.startswith(".") and step[0] != ".")
        for part, step in zip(parts, steps, strict=True)
    )


def _is_sound(name: str) -> bool:
    """Return whether it is a valid file name here; keys of a bucket may be anything."""
    return name.isprintable() and all(step not in ("", ".", "..") for step in name.split("/"))
