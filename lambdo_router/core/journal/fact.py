"""What a fact is."""

from collections.abc import Callable
from typing import ClassVar

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


def all_of(*observers: Observer) -> Observer:
    """Return one observer that hands each fact to several, in this order."""

    def observe(fact: Fact) -> None:
        for observer in observers:
            observer(fact)

    return observe
