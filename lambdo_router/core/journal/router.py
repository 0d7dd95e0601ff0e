"""Facts about the router itself and its routes file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lambdo_router.core.journal.fact import Fact
from lambdo_router.core.log_event import Level, log_event
from lambdo_router.core.routing import RoutingTable


@dataclass(frozen=True, slots=True)
class RoutesLoaded(Fact):
    """
    A changed routes file is valid. `changes` lists what is different in meaning.

    Do: Read `warnings`; `lambdo-router validate --explain-code CODE` explains each.
    """

    log = log_event("routes.loaded", "info", "generation changes warnings")
    result: ClassVar = "loaded"
    generation: str
    warnings: tuple[str, ...]
    """Each as `file:line:col: warning: message [code]`."""
    places: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """`file:line` of each route."""
    changes: tuple[str, ...] = ()
    """The differences to the table in use, as the lines that `diff` prints."""


@dataclass(frozen=True, slots=True)
class ReloadFailed(Fact):
    """
    A changed routes file has errors.

    The router keeps the routes it has; a restart would fail.

    Do: Fix the file at the places in `problems`, or restore the old one. `lambdo-router
    validate` in CI keeps such files out.
    """

    log = log_event("routes.refused", "error", "problems")
    result: ClassVar = "refused"
    problems: tuple[str, ...]
    """Each as `file:line:col: message [code]`."""


@dataclass(frozen=True, slots=True)
class TableActivated(Fact):
    """The router uses other routes from now on. The first ones are at DEBUG."""

    log = log_event("routes.swapped", "debug info", "generation previous queues routes")
    table: RoutingTable = field(repr=False)
    previous: str | None
    """The generation of the one before; None for the first."""

    @property
    def generation(self) -> str:
        """The table's."""
        return self.table.generation

    @property
    def queues(self) -> int:
        """How many queues it reads."""
        return len(self.table.sources())

    @property
    def routes(self) -> int:
        """How many routes it has."""
        return len(self.table.routes)

    @property
    def level(self) -> Level:
        """DEBUG for the first table, which is in `router.started`."""
        return "debug" if self.previous is None else "info"


@dataclass(frozen=True, slots=True)
class Stopping(Fact):
    """The router was told to stop."""

    log = log_event("router.stopping", "info", "grace")
    grace: float
    """Seconds that the stop may take."""


@dataclass(frozen=True, slots=True)
class Stopped(Fact):
    """
    The last line. A warning if messages were still held when the grace period ended.

    SQS redelivers them when their leases run out, and the router then finds what was launched
    for them.

    Do: Allow more time: raise `LAMBDO_GRACE`, and Fly's `kill_timeout` above it.
    """

    log = log_event("router.stopped", "info warning", "abandoned")
    abandoned: int

    @property
    def level(self) -> Level:
        """A warning if messages were still held."""
        return "warning" if self.abandoned else "info"
