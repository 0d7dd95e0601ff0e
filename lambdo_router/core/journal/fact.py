"""What a fact is."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from lambdo_router.core.errors import LaunchError, QueueError
from lambdo_router.core.log_event import Level, LogEvent


class Fact:
    """
    Something that has happened: a frozen dataclass, with what the log says of it.

    Its docstring is for users: what `log` means, and after `Do:` what to do about it.
    """

    __slots__ = ()
    log: ClassVar[LogEvent]
    also: ClassVar[tuple[LogEvent, ...]] = ()
    """The other events that it may be."""

    @property
    def event(self) -> LogEvent:
        """Which of these it is."""
        return self.log

    @property
    def level(self) -> Level:
        """The level of its line."""
        return self.event.levels[0]


class Failure(Fact):
    """A fact about a call that failed."""

    __slots__ = ()
    error: QueueError | LaunchError
    pause: float | None
    """Seconds until the next try, if there is one."""

    @property
    def code(self) -> str:
        """The class of the error."""
        return self.error.code


Observer = Callable[[Fact], None]
"""Called on the router's event loop, in order; must be quick and must not raise."""
Handlers = Mapping[type[Fact], Callable[[Any], None]]
"""What reads facts, by their type; facts of other types are not of interest."""


class Dispatch:
    """An observer that hands each fact to what reads its type, in the order of the observers."""

    def __init__(self, *observers: Observer | Handlers) -> None:
        self._observers = observers
        self._known: dict[type[Fact], tuple[Observer, ...]] = {}

    def __call__(self, fact: Fact) -> None:
        """Hand over a fact."""
        kind = type(fact)
        readers = self._known.get(kind)
        if readers is None:
            readers = self._known[kind] = self.readers_of(kind)
        for read in readers:
            read(fact)

    def readers_of(self, kind: type[Fact]) -> tuple[Observer, ...]:
        """Return what reads facts of this type."""
        readers: list[Observer] = []
        for observer in self._observers:
            if isinstance(observer, Dispatch):
                readers += observer.readers_of(kind)
            elif not isinstance(observer, Mapping):
                readers.append(observer)
            elif kind in observer:
                readers.append(observer[kind])
        return tuple(readers)
