"""
Reloads the routes when a file that they came from changes.

The inputs are checked once a second: a stat of each, following symbolic links, and a digest of
those whose stat has changed. An input is a file, or a folder, of which the names count: with them a
glob matches other files. This sees editors that rename a new file into place, volumes whose links
are switched, folders that are swapped, and files that come and go, and it works where the kernel
reports nothing. Where it does, watchfiles makes reloads faster; it may fail and nothing is lost.

A change is loaded once the contents have stayed the same for a while, since a file may be half
written. The inputs of a load, also of a failed one, are those watched from then on. A load counts
only if no input was written during it; an input that is new with a load leads to one more load,
which is not reported.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from watchfiles import awatch

from lambdo_router.config.diagnostics import ConfigError, Diagnostic
from lambdo_router.core.structured_log import structlog

log = structlog.get_logger()

POLL = 1.0
QUIET = 0.3
RECHECK = 30.0

Contents = Mapping[Path, str | None]
"""A digest of each input; None for one that does not exist or cannot be read."""


class Loaded(Protocol):
    """What `follow` needs to know of a configuration."""

    @property
    def generation(self) -> str:
        """The same for two loads if, and only if, they mean the same."""
        ...

    @property
    def inputs(self) -> Sequence[Path]:
        """Every file it came from, and every folder that was searched for files."""
        ...


L = TypeVar("L", bound=Loaded)


@dataclass(frozen=True, slots=True)
class Reloaded(Generic[L]):
    """A valid configuration. Its generation is new, or may be the same after a LoadFailed."""

    loaded: L


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The configuration on disk is invalid; the listener keeps what it has."""

    diagnostics: tuple[Diagnostic, ...]


async def follow(
    load: Callable[[], L],
    first: L,
    *,
    poll: float = POLL,
    quiet: float = QUIET,
    recheck: float = RECHECK,
    nudge: asyncio.Event | None = None,
    nothing_new: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[Reloaded[L] | LoadFailed, None]:
    """
    Yield what becomes of the configuration after `first`, forever.

    `load` runs in a thread and raises ConfigError for an invalid configuration, which is yielded
    once for each content. A load of the generation that was yielded last is not yielded.

    Stats of the inputs are checked every `poll` seconds, and their contents every `recheck`
    seconds. A change is loaded once it is `quiet` seconds old. When `nudge` is set it is cleared,
    and the configuration is loaded even if nothing has changed; a failure is then yielded again.
    If that yields nothing, `nothing_new` is called with the reason: an empty text, since the
    listener has what is on disk.

    A reader that may leave before it is cancelled wraps this in `contextlib.aclosing`.
    """
    now = asyncio.get_running_loop().time
    disk, settling, news = _InputFiles(first.inputs), Settling(quiet), News[L](first.generation)
    rechecked = now()
    async with _Waker(nudge) as waker:
        waker.watch_folders_of(disk.inputs)
        while True:
            everything = waker.nudged or now() >= rechecked + recheck
            if everything:
                rechecked = now()
            if waker.nudged:
                settling.force()
            settling.see(await asyncio.to_thread(disk.check, everything=everything), now())
            pause = settling.pause(now())
            if pause is None or pause > 0:
                await waker.wait(poll if pause is None else min(poll, pause))
                continue
            nudged, waker.nudged = waker.nudged, False
            contents, before = settling.loading(), disk.stats
            loaded = await _load(load, disk.inputs)
            disk.inputs = tuple(dict.fromkeys(loaded.inputs)) or disk.inputs
            waker.watch_folders_of(disk.inputs)
            await asyncio.to_thread(disk.check, everything=False)
            if _differ(before, disk.stats):
                # A file was written meanwhile, and the load may have read half of it: once more.
                waker.nudged |= nudged
                settling.force()
                continue
            outcome = (
                news.of_failure(loaded.diagnostics, contents, asked=nudged)
                if isinstance(loaded, ConfigError)
                else news.of_load(loaded)
            )
            if outcome is not None:
                yield outcome
            elif nudged:
                nothing_new("")


@dataclass(slots=True)
class Settling:
    """Decides when to load: the contents are not those loaded, and unchanged for a while."""

    quiet: float
    _seen: Contents = field(default_factory=dict)
    _since: float = 0.0
    _loaded: Contents | None = None

    def see(self, contents: Contents, now: float) -> None:
        """Take the present contents into account."""
        if contents != self._seen:
            self._seen, self._since = contents, now

    def force(self) -> None:
        """Have the contents loaded whether they have changed or not."""
        self._loaded = None

    def pause(self, now: float) -> float | None:
        """Return the seconds until a load is due, at most 0 if now; None if nothing changed."""
        return None if self._seen == self._loaded else self._since + self.quiet - now

    def loading(self) -> Contents:
        """Return the contents seen last, which from now on count as loaded."""
        self._loaded = self._seen
        return self._seen


@dataclass(slots=True)
class News(Generic[L]):
    """Decides which loads to report: those that were not reported already."""

    generation: str
    """The generation that the listener has."""
    _failure: tuple[tuple[Diagnostic, ...], Contents] | None = None

    def of_load(self, loaded: L) -> Reloaded[L] | None:
        """Return None if the listener has this configuration, and no failure came since."""
        failed, self._failure = self._failure is not None, None
        if loaded.generation == self.generation and not failed:
            return None
        self.generation = loaded.generation
        return Reloaded(loaded)

    def of_failure(
        self, diagnostics: tuple[Diagnostic, ...], contents: Contents, *, asked: bool
    ) -> LoadFailed | None:
        """Return None if this failure of these contents was reported, unless asked for."""
        before, self._failure = self._failure, (diagnostics, contents)
        if not asked and before is not None and before[0] == diagnostics:
            _, reported = before
            if not _differ(reported, contents):
                return None
        return LoadFailed(diagnostics)


def _differ(one: Mapping[Path, object], other: Mapping[Path, object]) -> bool:
    """Return whether a file that both know has changed; one that only one knows does not count."""
    return any(one[path] != other[path] for path in one.keys() & other.keys())


async def _load(load: Callable[[], L], inputs: Sequence[Path]) -> L | ConfigError:
    try:
        return await asyncio.to_thread(load)
    except ConfigError as error:
        return error
    except Exception as error:
        # Whatever is wrong with a file or with this code, it must not stop a running router.
        log.exception("config.load_crashed")
        message = f"a bug in lambdo-router prevented the load: {type(error).__name__}"
        file = str(inputs[0]) if inputs else "routes"
        return ConfigError([Diagnostic(file, 1, 1, "internal-error", message)])


_Stat = tuple[int, int, int, int]
"""Device, inode, size and time of change in nanoseconds."""


class _InputFiles:
    """Checks the inputs on disk. Not for two threads at a time."""

    def __init__(self, inputs: Iterable[Path]) -> None:
        self.inputs = tuple(dict.fromkeys(inputs))
        self.stats: Mapping[Path, _Stat | None] = {}
        """As of the last check."""
        self._contents: Contents = {}

    def check(self, *, everything: bool) -> Contents:
        """Return the contents; reads inputs whose stat has changed, or all for `everything`."""
        stats = {path: _stat(path) for path in self.inputs}
        contents: dict[Path, str | None] = {}
        for path, found in stats.items():
            known = self._contents.get(path)
            if everything or known is None or found != self.stats.get(path):
                known = None if found is None else _digest(path)
            contents[path] = known
        self.stats, self._contents = stats, contents
        return contents


def _stat(path: Path) -> _Stat | None:
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return None  # reading a pipe or a device may never end
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _digest(path: Path) -> str | None:
    try:
        if path.is_dir():
            names = b"\0".join(sorted(os.listdir(os.fsencode(path))))  # noqa: PTH208 - bytes are wanted
            return hashlib.sha256(names).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


class _Waker:
    """Ends a wait early if there is reason to check the inputs at once."""

    def __init__(self, nudge: asyncio.Event | None) -> None:
        self.nudged = False
        self._nudge = nudge
        self._woken = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        if self._nudge is not None:
            self._start("nudge", self._wait_for_nudges(self._nudge))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def wait(self, seconds: float) -> None:
        """Wait, at most that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    def watch_folders_of(self, inputs: Iterable[Path]) -> None:
        """Watch these folders; again after every change, as a replaced one reports no more."""
        around = {folder for path in inputs for folder in (path, path.parent)}
        folders = sorted(folder for folder in around if folder.is_dir())
        self._start("folders", self._watch(folders))

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        if (before := self._tasks.pop(name, None)) is not None:
            before.cancel()
        self._tasks[name] = asyncio.create_task(work)

    async def _wait_for_nudges(self, nudge: asyncio.Event) -> None:
        while await nudge.wait():
            nudge.clear()
            self.nudged = True
            self._woken.set()

    async def _watch(self, folders: Sequence[Path]) -> None:
        if not folders:
            return
        try:
            async for _ in awatch(*folders, watch_filter=None, recursive=False, debounce=200):
                self._woken.set()
        except Exception as error:  # noqa: BLE001 - the check once a second must continue
            log.warning("config.watch_degraded", reason=str(error))
