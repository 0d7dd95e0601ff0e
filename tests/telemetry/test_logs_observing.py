"""What goes to the log, and by which way."""

import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
from building import message, route, table
from facts import FACTS, FactCase
from logged import log_of_its_own

from lambdo_router.core import journal
from lambdo_router.core.errors import QueueUnavailable
from lambdo_router.core.log_event import Level
from lambdo_router.telemetry.logs import Logs, configure_logs

WALL = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    with log_of_its_own():
        yield


@dataclass
class Log:
    """A log under the test's clock, and what came out of it."""

    capsys: pytest.CaptureFixture[str]
    now: float = 0.0

    def started(self, level: Level) -> Logs:
        return configure_logs("json", level, lambda: self.now, lambda: WALL + self.now)

    def lines(self) -> list[dict[str, Any]]:
        captured = self.capsys.readouterr()
        assert captured.out == ""
        return [json.loads(line) for line in captured.err.splitlines()]

    def written(self) -> list[tuple[str, str]]:
        return [(line["level"], line["event"]) for line in self.lines()]


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Log:
    return Log(capsys)


FAILED = journal.QueueFailed("q", "receive", QueueUnavailable("503", code="Down"), 5.0)


@pytest.mark.parametrize("case", FACTS, ids=lambda case: f"{case.lines[0]}")
@pytest.mark.parametrize(
    ("level", "shown"), [("debug", 0), ("warning", 2)], ids=["all-lines", "from-warnings-on"]
)
def test_the_lines_of_a_fact_are_written(
    log: Log, level: Level, shown: int, case: FactCase
) -> None:
    log.started(level).observe(case.fact)
    levels = ("debug", "info", "warning", "error")[shown:]
    assert log.written() == [line for line in case.lines if line[0] in levels]


def test_the_first_line_says_what_runs(log: Log) -> None:
    log.started("info").started("1.2.3", table(route(), route("x")), {"fly_token": "set"})

    (line,) = log.lines()
    del line["timestamp"]
    assert line == {
        "level": "info",
        "event": "router.started",
        "version": "1.2.3",
        "generation": "g1",
        "queues": ["q"],
        "routes": 2,
        "settings": {"fly_token": "set"},
    }


def test_a_failure_that_goes_on_is_one_line_a_minute_until_it_is_over(log: Log) -> None:
    logs = log.started("info")
    for log.now in range(0, 125, 5):
        logs.observe(FAILED)
    log.now = 179.0
    logs.observe(journal.Polled("q", 0, 1.0))
    log.now = 180.0
    logs.observe(journal.Polled("q", 0, 1.0))

    lines = log.lines()
    assert [line["event"] for line in lines] == ["queue.failed"] * 3 + ["repeats.ended"]
    assert [line.get("repeated") for line in lines] == [None, 13, 25, 25]
    assert [line.get("since") for line in lines] == [None, *["2023-11-14T22:13:20Z"] * 3]
    ended = lines[-1]
    assert ended["until"] == "2023-11-14T22:15:20Z"
    assert (ended["of"], ended["queue"], ended["action"], ended["code"]) == (
        *("queue.failed", "q", "receive", "Down"),
    )


def test_at_debug_the_repeats_are_lines_of_debug(log: Log) -> None:
    logs = log.started("debug")
    for _ in range(3):
        logs.observe(FAILED)
    assert log.written() == [("warning", "queue.failed"), *[("debug", "queue.failed")] * 2]


def test_at_the_stop_what_was_repeated_is_told_before_the_last_line(log: Log) -> None:
    logs = log.started("info")
    for fact in (FAILED, FAILED, journal.Stopped(0)):
        logs.observe(fact)
    assert [event for _, event in log.written()] == [
        "queue.failed",
        "repeats.ended",
        "router.stopped",
    ]


def test_lines_of_modules_take_the_same_way(log: Log) -> None:
    log.started("info")
    own = structlog.get_logger()
    for number in range(3):
        own.warning("routes.unavailable", failures=number)
    own.info("routes.available")
    own.info("routes.available")

    assert [event for _, event in log.written()] == [
        "routes.unavailable",
        *["routes.available"] * 2,
    ]


def test_what_libraries_warn_of_takes_the_same_way(log: Log) -> None:
    log.started("info")
    for number in range(3):
        logging.getLogger("botocore").warning("pool %s is full\n", number)
    logging.getLogger("botocore").info("not worth it")

    (line,) = log.lines()
    assert (line["level"], line["event"]) == ("warning", "library.says")
    assert (line["library"], line["text"]) == ("botocore", "pool 0 is full\n")


def test_warnings_of_python_take_the_same_way(log: Log) -> None:
    log.started("info")
    warnings.simplefilter("always")
    warnings.warn("old", DeprecationWarning, stacklevel=1)

    (line,) = log.lines()
    assert line["library"] == "py.warnings"
    assert "DeprecationWarning: old" in line["text"]


def test_adapters_speak_in_events_and_fields(log: Log) -> None:
    log.started("info")
    adapter = logging.getLogger("lambdo_router.adapters.sqs.queue")
    adapter.warning("message.corrupt queue=%(queue)s", {"queue": "q", "message": "m"})
    try:
        json.loads("no json")
    except ValueError:
        adapter.exception("thread.failed")

    corrupt, failed = log.lines()
    assert (corrupt["event"], corrupt["queue"], corrupt["message"]) == ("message.corrupt", "q", "m")
    assert failed["event"] == "thread.failed"
    assert failed["exception"].splitlines()[-1].startswith("json.decoder.JSONDecodeError")


def test_what_cannot_be_formatted_is_told_of_and_stops_nothing(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    log.started("info")
    logging.getLogger("botocore").warning("%d", "no number")
    assert "Logging error" in capsys.readouterr().err


def _many(write: Callable[[], object]) -> None:
    threads = [threading.Thread(target=lambda: [write() for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_lines_of_threads_do_not_mix(log: Log) -> None:
    log.started("debug")
    _many(lambda: logging.getLogger("lambdo_router.x").debug("x.y a=%(a)s", {"a": "z" * 500}))
    assert log.written() == [("debug", "x.y")] * 200


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text", "info").observe(journal.QueueOpened("uploads"))
    line = capsys.readouterr().err
    assert line.endswith("Z [info     ] queue.opened             queue=uploads\n")


def test_a_message_that_is_not_logged_reaches_no_logger(log: Log) -> None:
    logs = log.started("info")
    structlog.configure(wrapper_class=None)  # whoever asks for a logger from here on fails
    logs.observe(journal.Received("q", message()))
    assert log.lines() == []
