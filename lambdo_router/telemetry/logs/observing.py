"""
What goes to the log: facts of the journal, and what modules and libraries log themselves.

Everything passes structlog's chain of processors, in which repeats are folded. Each fact that is
written also serves as a tick, and so does every poll: queues are polled every few seconds, so no
timer is needed to notice that something has stopped happening.
"""

import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, cast

from lambdo_router.core import journal
from lambdo_router.core.log_event import Level
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.structured_log import structlog
from lambdo_router.telemetry.logs.lines import lines_of
from lambdo_router.telemetry.logs.output import Form, Printer, renderers
from lambdo_router.telemetry.logs.repeats import Episode, Repeats

_OWN = "lambdo_router"
_FOLDED = frozenset({"warning", "error"})
_LEVELS: Mapping[str, int] = {
    name.lower(): number for name, number in logging.getLevelNamesMapping().items()
}


def configure_logs(
    form: Form,
    level: Level,
    monotonic: Callable[[], float] = time.monotonic,
    clock: Callable[[], float] = time.time,
) -> "Logs":
    """
    Set up all logging of this process, and return the observer of the journal.

    Libraries are heard from WARNING on, this package from `level` on. `clock` gives unix seconds.
    """
    threshold = _LEVELS[level]
    logs = Logs(monotonic, clock, threshold)
    printer = Printer(sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            logs.fold_repeats,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: printer,
        cache_logger_on_first_use=False,
    )
    handlers = [_FromLibraries()]
    logging.basicConfig(handlers=handlers, level=max(threshold, logging.WARNING), force=True)
    logging.getLogger(_OWN).setLevel(threshold)
    logging.captureWarnings(capture=True)
    logs.log = _log().bind()
    return logs


class Logs:
    """Writes facts of the journal: `observe` is an Observer."""

    def __init__(
        self, monotonic: Callable[[], float], clock: Callable[[], float], threshold: int
    ) -> None:
        self._monotonic = monotonic
        self._clock = clock
        self._threshold = threshold
        self._debug = threshold <= logging.DEBUG
        self._repeats = Repeats()
        # Libraries log from their own threads; reentrant, since the garbage collector may raise a
        # warning anywhere.
        self._lock = threading.RLock()
        self.log = _log()
        """Bound once it is configured: binding takes a third of a line's time."""
        written = filter(self._may_be_written, journal.FACTS)
        self.observe: journal.Observer = journal.Dispatch(
            {journal.Polled: self._tick, journal.Stopped: self._end_all},
            dict.fromkeys(written, self._write),
        )
        """Writes the lines of one fact."""

    def _may_be_written(self, kind: type[journal.Fact]) -> bool:
        levels = (level for event in (kind.log, *kind.also) for level in event.levels)
        return any(_LEVELS[level] >= self._threshold for level in levels)

    def _tick(self, _: journal.Fact) -> None:
        if (now := self._monotonic()) >= self._repeats.due:
            self._write_ended(now)

    def _end_all(self, _: journal.Fact) -> None:
        self._write_ended(math.inf)

    def _write(self, fact: journal.Fact) -> None:
        if _LEVELS[fact.level] < self._threshold:
            return
        self._tick(fact)
        for line in lines_of(fact):
            _write(
                self.log, line.level, line.event, line.fields, line.topic, line.pause, line.error
            )

    def started(self, version: str, table: RoutingTable, settings: Mapping[str, object]) -> None:
        """Write the first line. `settings` must not contain secrets."""
        _log().info(
            "router.started",
            version=version,
            generation=table.generation,
            queues=[queue.name for queue in table.sources()],
            routes=len(table.routes),
            settings=dict(settings),
        )

    def fold_repeats(
        self, _logger: object, _method: str, fields: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """
        Pass a line on, or drop it as a repeat, which at DEBUG becomes a line of DEBUG.

        This is a processor of structlog. Warnings and errors that no fact made are repeats of each
        other if they have the same name.
        """
        level, event = fields["level"], fields["event"]
        topic, pause = fields.pop("folding", ({} if level in _FOLDED else None, 0.0))
        if topic is None:
            return fields
        with self._lock:
            episode = self._repeats.take(event, topic, pause, self._monotonic(), self._clock())
        if episode is None:
            if not self._debug:
                raise structlog.DropEvent
            fields["level"] = "debug"
        elif episode.times > 1:
            fields.update(repeated=episode.times, since=_utc(episode.since))
        return fields

    def _write_ended(self, now: float) -> None:
        with self._lock:
            ended: list[Episode] = self._repeats.over(now)
        for episode in ended:
            _log().info(
                "repeats.ended",
                of=episode.event,
                **episode.topic,
                repeated=episode.times,
                since=_utc(episode.since),
                until=_utc(episode.until),
            )


class _FromLibraries(logging.Handler):
    """Sends what is logged through `logging` to the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(record)
        except Exception:  # noqa: BLE001 - as every handler: report a line that cannot be formatted
            self.handleError(record)

    def _write(self, record: logging.LogRecord) -> None:
        fields: Mapping[str, object]
        if record.name.partition(".")[0] == _OWN:
            # Adapters write "name.of.event field=%(field)s" with a mapping, so that commands which
            # do not set up this log show it as plain text.
            event = str(record.msg).partition(" ")[0]
            fields = record.args if isinstance(record.args, Mapping) else {}
        else:
            event = "library.says"
            fields = {"library": record.name, "text": record.getMessage()}
        level = _level_of(record.levelno)
        at = f"{record.filename}:{record.lineno}"
        topic = {"library": record.name, "at": at} if level in _FOLDED else None
        _write(_log(), level, event, fields, topic, 0.0, record.exc_info)


def _write(
    log: structlog.typing.FilteringBoundLogger,
    level: str,
    event: str,
    fields: Mapping[str, object],
    topic: Mapping[str, object] | None,
    pause: float,
    error: object,
) -> None:
    more = {"exc_info": error} if error else {}
    log.log(_LEVELS[level], event, **fields, folding=(topic, pause), **more)


def _level_of(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _log() -> structlog.typing.FilteringBoundLogger:
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger())


def _utc(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
