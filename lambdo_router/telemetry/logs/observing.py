"""
What goes to the log: facts of the journal, and what modules and libraries have to say themselves.

All of it takes one way: structlog's chain of processors, in which repeats are summed up. Each fact
is also a tick of the clock, since queues are polled every few seconds: no timer is needed to
notice that something has not happened again.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger

from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.telemetry.logs.lines import Level, is_quiet, lines_of
from lambdo_router.telemetry.logs.output import Form, Printer, renderers
from lambdo_router.telemetry.logs.repeats import Moment, Over, Repeats

_OWN = "lambdo_router"
_WORTH_SUMMING = frozenset({"warning", "error"})
_Summing = tuple[Mapping[str, object] | None, float]
_LEVELS: Mapping[str, int] = logging.getLevelNamesMapping()


def configure_logs(
    form: Form,
    level: Level,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> "Logs":
    """
    Set up what is logged in this process, by whomever, and return the observer of the journal.

    Libraries are heard from WARNING on, this package from `level` on. `clock` never jumps, `wall`
    gives unix seconds.
    """
    threshold = _LEVELS[level.upper()]
    logs = Logs(clock, wall, debug=threshold <= logging.DEBUG)
    printer = Printer(sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            logs.summed_up,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers(form),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: printer,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(
        handlers=[_FromLibraries()], level=max(threshold, logging.WARNING), force=True
    )
    logging.getLogger(_OWN).setLevel(threshold)
    logging.captureWarnings(capture=True)
    return logs


class Logs:
    """Writes facts of the journal: `observe` is an Observer."""

    def __init__(
        self, clock: Callable[[], float], wall: Callable[[], float], *, debug: bool
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._debug = debug
        self._repeats = Repeats()
        # Libraries speak from threads of their own; reentrant, since the collector of garbage may
        # bring up a warning anywhere.
        self._lock = threading.RLock()

    def observe(self, fact: journal.Fact) -> None:
        """Write the lines of one fact."""
        if self._clock() >= self._repeats.due:
            self._write_over(self._over(ended=False))
        if not self._debug and is_quiet(fact):
            return
        if isinstance(fact, journal.Stopped):
            self._write_over(self._over(ended=True))
        log = _log()
        for line in lines_of(fact):
            log.log(
                _LEVELS[line.level.upper()],
                line.event,
                **line.fields,
                summing=(line.topic, line.pause),
                **({"exc_info": line.error} if line.error is not None else {}),
            )

    def started(self, version: str, table: RoutingTable, settings: Mapping[str, object]) -> None:
        """Write the line that says what runs here. `settings` are to have no secrets in them."""
        _log().info(
            "router.started",
            version=version,
            generation=table.generation,
            queues=[queue.name for queue in table.sources()],
            routes=len(table.routes),
            settings=dict(settings),
        )

    def summed_up(
        self, _logger: object, _method: str, fields: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """
        A processor: let a line pass, or drop it as a repeat, which at DEBUG is one of DEBUG.

        Lines of others are alike if they have the same name.
        """
        level, event = fields["level"], fields["event"]
        alike: _Summing = ({} if level in _WORTH_SUMMING else None, 0.0)
        topic, pause = fields.pop("summing", alike)
        if topic is None:
            return fields
        with self._lock:
            again = self._repeats.take(event, topic, pause, Moment(self._clock(), self._wall()))
        if again is None:
            if not self._debug:
                raise structlog.DropEvent
            fields["level"] = "debug"
        elif again.times > 1:
            fields.update(repeated=again.times, since=_time(again.since))
        return fields

    def _over(self, *, ended: bool) -> list[Over]:
        with self._lock:
            return self._repeats.all_over() if ended else self._repeats.over(self._clock())

    def _write_over(self, overs: list[Over]) -> None:
        for over in overs:
            _log().info(
                "repeats.ended",
                of=over.event,
                **over.topic,
                repeated=over.times,
                since=_time(over.since),
                until=_time(over.until),
            )


class _FromLibraries(logging.Handler):
    """Takes what is said by way of `logging` to the same log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tell(record)
        except Exception:  # noqa: BLE001 - as every handler: a line that can't be made is told of
            self.handleError(record)

    def _tell(self, record: logging.LogRecord) -> None:
        at = f"{record.filename}:{record.lineno}"
        fields: dict[str, object]
        if record.name.partition(".")[0] == _OWN:
            # Adapters write "name.of.event field=%(field)s" with a mapping: commands that do not
            # set up this log show the same as plain text.
            event = str(record.msg).partition(" ")[0]
            fields = dict(record.args) if isinstance(record.args, Mapping) else {}
        else:
            event = "library.says"
            fields = {"library": record.name, "text": record.getMessage()}
        level = _level_of(record.levelno)
        topic = {"library": record.name, "at": at} if level in _WORTH_SUMMING else None
        _log().log(
            _LEVELS[level.upper()],
            event,
            **fields,
            summing=(topic, 0.0),
            **({"exc_info": record.exc_info} if record.exc_info else {}),
        )


def _level_of(number: int) -> Literal["debug", "info", "warning", "error"]:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


def _log() -> FilteringBoundLogger:
    return cast("FilteringBoundLogger", structlog.get_logger())


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
