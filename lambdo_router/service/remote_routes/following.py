"""
Remote routes as a stream of configurations, with the same rules as files on disk.

The store is asked every half minute whether anything has changed, with the ETags of known files, so
that the answer is usually small. A change is loaded once it has been stable for a moment. Routes
that cannot be loaded change nothing, and all their problems are reported; a store that does not
answer changes nothing either, and is asked again with growing pauses.

At the start there is no table to keep. If the store does not answer, or its routes cannot be
loaded, the last good copy on disk is used, with a warning; without one the start fails.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from lambdo_router.adapters.daemon_thread import in_daemon_thread
from lambdo_router.config.diagnostics import ConfigError, Diagnostic
from lambdo_router.config.load import Examined, LoadedRoutes, sound
from lambdo_router.config.read.files import Mirror
from lambdo_router.config.watch import LoadFailed, News, Reloaded
from lambdo_router.core.backoff import backoff
from lambdo_router.core.structured_log import structlog
from lambdo_router.engine.waiting import set_within
from lambdo_router.service.remote_routes.cache import Cache
from lambdo_router.service.remote_routes.remote_store import File, RemoteStore, RoutesUnavailable
from lambdo_router.service.remote_routes.snapshot import FetchedRoutes, Load, Round, assemble

POLL: Final = 30.0
"""Seconds between two checks."""
QUIET: Final = 1.0
"""Seconds for which a change must be stable."""
_LONGEST_PAUSE: Final = 300.0
"""Seconds between two tries of a store that does not answer."""
_MOST_LOOKS: Final = 10
"""Checks of a store that changes every time, before it is loaded as it is."""

_T = TypeVar("_T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Start:
    """The routes to start with."""

    loaded: LoadedRoutes
    instead: str = ""
    """Why and from when the last good copy is used; empty if these are the current routes."""
    diagnostics: tuple[Diagnostic, ...] = ()
    """The problems of the current routes, if they are the reason."""
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of the files with these problems."""


class RoutesOrigin:
    """The routes of one address, from the first load on. Must be closed."""

    def __init__(
        self,
        store: RemoteStore,
        cache: Cache,
        load: Load,
        *,
        poll: float = POLL,
        quiet: float = QUIET,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`poll` and `quiet` are seconds; a pause is up to a tenth longer or shorter."""
        self._store = store
        self._cache = cache
        self._load = load
        self._poll, self._quiet, self._jitter = poll, quiet, jitter
        self._snapshot: FetchedRoutes | None = None
        """What was loaded last, valid or not."""
        self._known: dict[str, File] = {}
        """The newest version of each file that was ever needed."""

    @property
    def shown(self) -> str:
        """The address, fit to be shown."""
        return self._store.address.shown

    async def aclose(self) -> None:
        """Abandon what is in progress, and close connections."""
        self._store.close()

    async def start(self) -> Start:
        """
        Fetch and load; or take the last good copy. Raises RoutesUnavailable or ConfigError if
        there is none either.
        """
        try:
            return Start(sound(await _in_thread(self._fetch_and_load)))
        except (RoutesUnavailable, ConfigError) as error:
            good = await _in_thread(self._last_good)
            if good is None:
                raise
            loaded, saved_at = good
            return _instead(loaded, saved_at, error)

    async def follow(
        self,
        first: LoadedRoutes,
        nudge: asyncio.Event,
        nothing_new: Callable[[str], None] = lambda _: None,
    ) -> AsyncGenerator[Reloaded[LoadedRoutes] | LoadFailed, None]:
        """
        Yield what comes of the routes after `first`, for ever; as `config.watch.follow` does.

        When `nudge` is set it is cleared, and the place is asked at once; a failure is then told
        again. If that brings nothing to yield, `nothing_new` is called with the reason; the text is
        empty if what is there is what the listener has.
        """
        news = News[LoadedRoutes](first.generation)
        failures, pause = 0, self._pause()
        while True:
            await set_within(nudge, pause)
            asked = nudge.is_set()
            nudge.clear()
            try:
                examined = await self._look(asked=asked)
            except RoutesUnavailable as error:
                failures += 1
                jitter = self._jitter()
                pause = backoff(failures, first=self._poll, longest=_LONGEST_PAUSE, jitter=jitter)
                fields = {"failures": failures, "next_try_in": round(pause, 1)}
                log.warning("routes.unavailable", reason=str(error), **fields)
                if asked:
                    nothing_new(str(error))
                continue
            except Exception:
                # Whatever the store holds, and whatever fails here, the router must go on.
                log.exception("routes.look_crashed", address=self.shown)
                pause = _LONGEST_PAUSE
                if asked:
                    nothing_new("a fault in lambdo-router; its log has more")
                continue
            if failures:
                log.info("routes.available", address=self.shown, failures=failures)
            failures, pause = 0, self._pause()
            if examined is None:
                continue
            told = self._told(news, examined, asked=asked)
            if told is not None:
                yield told
            elif asked:
                nothing_new("")

    def _told(
        self, news: News[LoadedRoutes], examined: Examined, *, asked: bool
    ) -> Reloaded[LoadedRoutes] | LoadFailed | None:
        try:
            return news.of_load(sound(examined))
        except ConfigError as error:
            contents = {} if self._snapshot is None else self._snapshot.contents
            return news.of_failure(error.diagnostics, contents, asked=asked)

    def _pause(self) -> float:
        return self._poll * (0.9 + 0.2 * self._jitter())

    async def _look(self, *, asked: bool) -> Examined | None:
        """Load what is there; return None if it is what was loaded last and nobody asked."""
        before = self._snapshot
        if before is not None:
            seen = await _in_thread(lambda: self._seen_again(before))
            changed = seen.contents != before.contents
            if not changed and not asked:
                return None
            for _ in range(_MOST_LOOKS if changed else 0):
                await asyncio.sleep(self._quiet)
                last, seen = seen, await _in_thread(lambda: self._seen_again(before))
                if seen.contents == last.contents:
                    break
        return await _in_thread(self._fetch_and_load)

    def _seen_again(self, before: FetchedRoutes) -> FetchedRoutes:
        seen = Round(self._store, self._known).again(before)
        self._known |= {name: file for name, file in seen.files.items() if file is not None}
        return seen

    def _fetch_and_load(self) -> Examined:
        found = Round(self._store, self._known)
        try:
            room = self._cache.room()
        except OSError as error:
            raise RoutesUnavailable(_no_room(self._cache, error)) from None
        kept = False
        try:
            self._snapshot, examined = assemble(self._store, found, room, self._load)
            self._known = {n: f for n, f in self._snapshot.files.items() if f is not None}
            if not examined.errors and examined.compiled is not None:
                kept = self._keep(room, examined)
        finally:
            if not kept:
                self._cache.discard(room)
        return examined

    def _keep(self, room: Path, examined: Examined) -> bool:
        try:
            self._cache.keep(room, examined.generation)
        except OSError as error:
            log.warning("routes.not_kept", reason=_no_room(self._cache, error))
            return False
        return True

    def _last_good(self) -> tuple[LoadedRoutes, float] | None:
        good = self._cache.good()
        if good is None:
            return None
        address = self._store.address
        mirror = Mirror(good.folder, address.place, self._store.can_list)
        try:
            return sound(self._load(good.folder / address.name, mirror)), good.saved_at
        except ConfigError:
            return None  # it was good with other variables, or for another version


def _instead(
    loaded: LoadedRoutes, saved_at: float, error: RoutesUnavailable | ConfigError
) -> Start:
    moment = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(saved_at))
    copy = f"going on with the last good copy, of {moment} (generation {loaded.generation})"
    if isinstance(error, ConfigError):
        return Start(
            loaded, f"what is there cannot be used; {copy}", error.diagnostics, error.sources
        )
    return Start(loaded, f"{error}; {copy}")


def _no_room(cache: Cache, error: OSError) -> str:
    return (
        f"the folder {cache.folder} cannot be written ({error.strerror}); "
        "LAMBDO_ROUTES_CACHE names another"
    )


async def _in_thread(call: Callable[[], _T]) -> _T:
    """Nobody waits for the thread at the end, however slow the store is."""
    return await in_daemon_thread(call, "routes")
