"""
Loads the routes again when a file that they came from has changed.

What is on disk is looked at once a second: a stat of every input, which follows symbolic links,
and the digest of each whose stat has changed. An input is a file, or a folder, of which the names
in it count: with them a glob means other files. That is the sure way. It sees editors that write a
new file and rename it, volumes whose links are pointed elsewhere, folders that are swapped, and
files that come and go, and it works where the kernel reports nothing. Where the kernel does report,
watchfiles on the folders of the inputs makes it quicker; it may fail and nothing is lost.

A change is loaded when the contents have stayed the same for a while, for a file that is being
written is no file yet. The inputs of a load, also of one that failed, are what is looked at from
then on. A load counts only if no input was written while it went on; an input that is new with a
load leads to one more load, of which nobody hears.
"""

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import structlog
from watchfiles import awatch

from lambdo_router.config.diagnostics import ConfigError, Diagnostic

log = structlog.get_logger()

POLL = 1.0
QUIET = 0.3
RECHECK = 30.0

Contents = Mapping[Path, str | None]
"""What is in each input, as a digest; None for one that is not there or cannot be read."""


class Loaded(Protocol):
    """What `follow` must know of a configuration."""

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
    """
    A good configuration to go on with.

    Its generation is another than before, or, after a ReloadFailed, perhaps the same again.
    """

    loaded: L


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """What is on disk cannot be used; whoever listens keeps what it has."""

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
    Yield what comes of the configuration after `first`, for ever.

    `load` runs in a thread and raises ConfigError for a configuration that cannot be used; that is
    yielded once for each content. A load of the generation that was yielded last is not news.

    Every `poll` seconds the stats of the inputs are looked at, every `recheck` seconds all their
    contents, whatever the stats say. A change is loaded once it is `quiet` seconds old. When
    `nudge` is set it is cleared, and the configuration is loaded even if nothing has changed; a
    failure is then told again. If that brings nothing to yield, `nothing_new` is called with the
    reason: an empty text, since what is there is what the listener has.

    A reader that may leave before it is cancelled wraps this in `contextlib.aclosing`.
    """
    now = asyncio.get_running_loop().time
    disk, settling, news = _Disk(first.inputs), Settling(quiet), News[L](first.generation)
    rechecked = now()
    async with _Alarm(nudge) as alarm:
        alarm.watch_folders_of(disk.inputs)
        while True:
            everything = alarm.asked or now() >= rechecked + recheck
            if everything:
                rechecked = now()
            if alarm.asked:
                settling.force()
            settling.see(await asyncio.to_thread(disk.look, everything=everything), now())
            pause = settling.pause(now())
            if pause is None or pause > 0:
                await alarm.wait(poll if pause is None else min(poll, pause))
                continue
            asked, alarm.asked = alarm.asked, False
            contents, before = settling.loading(), disk.stats
            loaded = await _load(load, disk.inputs)
            disk.inputs = tuple(dict.fromkeys(loaded.inputs)) or disk.inputs
            alarm.watch_folders_of(disk.inputs)
            await asyncio.to_thread(disk.look, everything=False)
            if _differ(before, disk.stats):
                # A file was written meanwhile, and the load may have read half of it: once more.
                alarm.asked |= asked
                settling.force()
                continue
            told = (
                news.of_failure(loaded.diagnostics, contents, asked=asked)
                if isinstance(loaded, ConfigError)
                else news.of_load(loaded)
            )
            if told is not None:
                yield told
            elif asked:
                nothing_new("")


@dataclass(slots=True)
class Settling:
    """
    When to load: what is on disk is not what was loaded, and has been the same for a while.

    Fed with looks at the disk, each with its time in seconds. Nothing counts as loaded at first.
    """

    quiet: float
    _seen: Contents = field(default_factory=dict)
    _since: float = 0.0
    _loaded: Contents | None = None

    def see(self, contents: Contents, now: float) -> None:
        """Take a look into account."""
        if contents != self._seen:
            self._seen, self._since = contents, now

    def force(self) -> None:
        """Have it loaded whether it has changed or not."""
        self._loaded = None

    def pause(self, now: float) -> float | None:
        """Seconds until it is to be loaded, at most 0 if that is now; None while it is loaded."""
        return None if self._seen == self._loaded else self._since + self.quiet - now

    def loading(self) -> Contents:
        """From here on what was seen last counts as loaded; and is returned."""
        self._loaded = self._seen
        return self._seen


@dataclass(slots=True)
class News(Generic[L]):
    """What of the loads is worth telling: what has not been told already."""

    generation: str
    """Of the configuration that the listener has."""
    _failure: tuple[tuple[Diagnostic, ...], Contents] | None = None

    def of_load(self, loaded: L) -> Reloaded[L] | None:
        """None if the listener has this configuration and knows of no failure since."""
        failed, self._failure = self._failure is not None, None
        if loaded.generation == self.generation and not failed:
            return None
        self.generation = loaded.generation
        return Reloaded(loaded)

    def of_failure(
        self, diagnostics: tuple[Diagnostic, ...], contents: Contents, *, asked: bool
    ) -> LoadFailed | None:
        """None if the same failure of the same contents has been told, unless it was asked for."""
        before, self._failure = self._failure, (diagnostics, contents)
        if not asked and before is not None and before[0] == diagnostics:
            _, told = before
            if not _differ(told, contents):
                return None
        return LoadFailed(diagnostics)


def _differ(one: Mapping[Path, object], other: Mapping[Path, object]) -> bool:
    """Whether a file that both looked at has changed; one that only one knew of tells nothing."""
    return any(one[path] != other[path] for path in one.keys() & other.keys())


async def _load(load: Callable[[], L], inputs: Sequence[Path]) -> L | ConfigError:
    try:
        return await asyncio.to_thread(load)
    except ConfigError as error:
        return error
    except Exception as error:
        # Whatever a file holds, and whatever is wrong here, it must not stop a running router.
        log.exception("config.load_crashed")
        message = f"a fault in lambdo-router kept this from being loaded: {type(error).__name__}"
        file = str(inputs[0]) if inputs else "routes"
        return ConfigError([Diagnostic(file, 1, 1, "internal-error", message)])


_Stat = tuple[int, int, int, int]
"""Device, inode, size and time of change in nanoseconds."""


class _Disk:
    """Looks at the inputs. Not for two threads at a time."""

    def __init__(self, inputs: Iterable[Path]) -> None:
        self.inputs = tuple(dict.fromkeys(inputs))
        self.stats: Mapping[Path, _Stat | None] = {}
        """As of the last look."""
        self._contents: Contents = {}

    def look(self, *, everything: bool) -> Contents:
        """The contents; those whose stat is what it was are not read again, unless `everything`."""
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


class _Alarm:
    """Wakes whoever waits for the next look when there is reason to look at once."""

    def __init__(self, nudge: asyncio.Event | None) -> None:
        self.asked = False
        self._nudge = nudge
        self._rung = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        if self._nudge is not None:
            self._start("nudge", self._wait_for_nudges(self._nudge))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def wait(self, seconds: float) -> None:
        """Wait, at most that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        self._rung.clear()

    def watch_folders_of(self, inputs: Iterable[Path]) -> None:
        """
        Be woken by what the kernel reports of these folders, from now on.

        Called after every change, since a folder that was replaced reports nothing any more.
        """
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
            self.asked = True
            self._rung.set()

    async def _watch(self, folders: Sequence[Path]) -> None:
        if not folders:
            return
        try:
            async for _ in awatch(*folders, watch_filter=None, recursive=False, debounce=200):
                self._rung.set()
        except Exception as error:  # noqa: BLE001 - the look once a second must go on without
            log.warning("config.watch_degraded", reason=str(error))
