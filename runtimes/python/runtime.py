"""
Calls one function for each event of a batch, and tells the router which of them failed.

    def handler(event, context): ...            in /app/main.py; `async def` too
    def handler_batch(events, context): ...     or once for all of them

An event is done when the function returns. It has failed when the function raises, when the process
ends before it is done, and when it was not begun because the Machine was told to stop. What failed
is reported to the router, which retries that and deletes the rest. Exit code 0 says that nothing
failed or that the report was accepted; any other, and the router retries the whole batch: whatever
goes wrong here, no event is taken for done that is not.

Nothing but Python (3.9 or newer) is needed. docs/runtimes.md has the contract.
"""

from __future__ import annotations

import base64
import importlib.util
import inspect
import json
import logging
import math
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

REPORT_PAUSES = (0.2, 0.6, 1.8)
"""Seconds before another attempt at a report."""
REPORT_PATIENCE = 20.0
"""Seconds that one may take: the router asks Fly before it answers."""
ACCEPTED, SERVER_ERROR = 200, 500
MAY_PASS = (0, 429)
"""No connection, and too many requests."""
STARTED = time.time()
PROCESS = os.getpid()

# Read at once: a handler may change its environment.
ENVIRONMENT = {name: value for name, value in os.environ.items() if value}
EVENTS_PATH = Path(ENVIRONMENT.get("EVENTS_PATH", "/tmp/events.json"))
BATCH_PATH = Path(ENVIRONMENT.get("LAMBDO_BATCH_PATH", "/tmp/batch.json"))
HANDLER = Path(ENVIRONMENT.get("LAMBDO_HANDLER", "/app/main.py"))

# ------------------------------------------------------------------------------------ the batch


class Unusable(Exception):
    """What cannot be worked with at all. Nothing was run; the whole batch is to be retried."""


class Unreadable(Exception):
    """What cannot be read of one event. It has failed; the others go on."""


@dataclass(frozen=True)
class About:
    """What a function is told about the batch."""

    route: str | None = None
    queue: str | None = None
    batch_id: str | None = None
    deadline: float | None = None
    """Unix seconds; then the Machine is destroyed."""

    def seconds_left(self) -> float:
        """Seconds until the deadline; infinite without one."""
        return math.inf if self.deadline is None else self.deadline - time.time()


@dataclass(frozen=True)
class Context(About):
    """What the function is told about one event, and about its batch."""

    index: int = 0
    message_id: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    """Text, also of numbers; bytes of Binary ones."""
    receive_count: int | None = None
    sent_at: float | None = None
    message: dict[str, Any] | None = None
    """The event's entry in the batch file, if there is one."""

    @property
    def logger(self) -> Logger:
        """Writes lines of JSON that name the message; fields of your own by `extra={...}`."""
        return Logger(LOG, {"message_id": self.message_id, **named(self)})


@dataclass(frozen=True)
class BatchContext(About):
    """What a function for the whole batch is told: `messages` has the context of each event."""

    messages: tuple[Context, ...] = ()

    @property
    def logger(self) -> Logger:
        """Writes lines of JSON that name the batch; fields of your own by `extra={...}`."""
        return Logger(LOG, named(self))


@dataclass
class Job:
    event: Any
    context: Context
    unreadable: str | None = None
    """Why the function cannot be given it."""
    outcome: str | None = None
    """None, "done" or "failed"."""


def read_batch() -> tuple[list[Job], About]:
    events = read_events()
    if not isinstance(events, list):
        raise Unusable(f"{EVENTS_PATH} holds no JSON array of events")
    batch = read_json(BATCH_PATH) if BATCH_PATH.exists() else {"messages": [{}] * len(events)}
    batch = batch if isinstance(batch, dict) else {}
    written = batch.get("messages")
    messages = [it for it in written if isinstance(it, dict)] if isinstance(written, list) else []
    if len(messages) != len(events):
        raise Unusable(
            f"{BATCH_PATH} does not describe the {len(events)} events of {EVENTS_PATH}: "
            f"it has {len(messages)} messages"
        )
    about = About(
        ENVIRONMENT.get("LAMBDO_ROUTE", batch.get("route")),
        ENVIRONMENT.get("LAMBDO_QUEUE", batch.get("queue")),
        ENVIRONMENT.get("LAMBDO_BATCH_ID", batch.get("batch_id")),
        float(ENVIRONMENT.get("LAMBDO_DEADLINE", 0)) or None,
    )
    described = enumerate(zip(events, messages))
    return [job_of(about, index, event, message) for index, (event, message) in described], about


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        raise Unusable(f"cannot read {path}: {problem}") from problem


def read_events() -> Any:
    """Return the events of the file; Unreadable in place of one that cannot be read."""
    try:
        return read_json(EVENTS_PATH)
    except Unusable:
        pieces = pieces_of(EVENTS_PATH.read_bytes()) if EVENTS_PATH.exists() else []
        if not pieces:
            raise
    return [read_event(piece) for piece in pieces]


def read_event(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        return Unreadable(f"cannot read the event: {problem}")


def pieces_of(array: bytes) -> list[bytes]:
    """Return the texts of the elements of a JSON array; empty if it is not an array."""
    array = array.strip()
    end = len(array) - 1
    pieces, begin, depth, in_text = [], 1, 0, False
    for found in re.compile(rb'\\.|["[\]{},]', re.DOTALL).finditer(array, 1, end):
        token = found[0]
        if token == b'"':
            in_text = not in_text
        elif in_text or token.startswith(b"\\"):
            continue
        elif token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
            if depth < 0:
                return []
        elif depth == 0:
            pieces.append(array[begin : found.start()])
            begin = found.end()
    whole = array[:1] + array[-1:] == b"[]" and depth == 0 and not in_text
    return [*pieces, array[begin:end]] if whole else []


def job_of(about: About, index: int, event: Any, message: dict[str, Any]) -> Job:
    unreadable = str(event) if isinstance(event, Unreadable) else None
    attributes, message_id = {}, message.get("message_id")
    try:
        attributes = attributes_of(message)
    except Unreadable as problem:
        unreadable = unreadable or str(problem)
    context = Context(
        **vars(about),
        index=index,
        message_id=message_id if isinstance(message_id, str) else None,
        attributes=attributes,
        receive_count=message.get("receive_count"),
        sent_at=message.get("sent_at"),
        message=message or None,
    )
    return Job(event, context, unreadable)


def attributes_of(message: dict[str, Any]) -> dict[str, Any]:
    written = message.get("attributes", {})
    try:
        return {name: value_of(it["type"], it["value"]) for name, it in written.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise Unreadable(f"cannot read the attributes of its message: {problem!r}") from problem


def value_of(data_type: str, value: str) -> str | bytes:
    is_binary = data_type.partition(".")[0] == "Binary"
    return base64.b64decode(value, validate=True) if is_binary else value


# ------------------------------------------------------------------------------------- the logs


def named(about: About) -> dict[str, Any]:
    return {"route": about.route, "batch_id": about.batch_id}


class Logger(logging.LoggerAdapter):  # type: ignore[type-arg] # Python 3.9 takes none
    """Fields of `extra` next to those that are known."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        fields = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, {**kwargs, "extra": {"fields": fields}}


class Lines(logging.Handler):
    """One line of JSON for each record: errors on stderr, everything else on stdout."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            head = {
                "time": datetime.fromtimestamp(record.created, timezone.utc)
                .isoformat(timespec="milliseconds")
                .replace("+00:00", "Z"),
                "level": record.levelname.lower(),
                "message": record.getMessage(),
            }
            error = {"error": text_of(record.exc_info[1])} if record.exc_info else {}
            line = {**head, **error, **getattr(record, "fields", {}), **head}
            stream = sys.stderr if record.levelno >= logging.ERROR else sys.stdout
            stream.write(json.dumps(line, default=repr) + "\n")
            stream.flush()
        except Exception:  # the way of all logging handlers
            self.handleError(record)


# Of its own, and not by getLogger: no configuration of the function's loggers is to silence it.
LOG = logging.Logger("lambdo", logging.DEBUG)  # noqa: LOG001 - see above
LOG.addHandler(Lines())


def settle(job: Job, error: str | None, began: float | None) -> None:
    job.outcome = "done" if error is None else "failed"
    fields = {
        "outcome": job.outcome,
        "ms": 0 if began is None else round((time.perf_counter() - began) * 1000, 1),
        "index": job.context.index,
        "message_id": job.context.message_id,
        "receive_count": job.context.receive_count,
        **named(job.context),
        **({} if error is None else {"error": error}),
    }
    sys.stdout.flush()  # what the function printed comes before the line about it
    level = logging.INFO if error is None else logging.ERROR
    LOG.log(level, "event %s", job.outcome, extra={"fields": fields})


def text_of(error: BaseException | None) -> str:
    if error is None:
        return ""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).strip()


# ---------------------------------------------------------------------------------- the function


@dataclass(frozen=True)
class Handler:
    call: Callable[..., Any]
    takes_all: bool

    @property
    def is_async(self) -> bool:
        return any(map(inspect.iscoroutinefunction, (self.call, type(self.call).__call__)))


def load_handler() -> Handler:
    path = HANDLER.resolve()
    if not path.is_file():
        raise Unusable(f"there is no handler file {HANDLER}")
    # Modules beside it can be imported, and nothing beside this file.
    sys.path[0] = str(path.parent)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise Unusable(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise Unusable(f"cannot load {path}: {text_of(error)}") from error
    one: Any = getattr(module, "handler", None)
    all_: Any = getattr(module, "handler_batch", None)
    if callable(one) == callable(all_):
        what = "both" if callable(one) else "neither"
        raise Unusable(
            f"{path} defines {what} of `handler` and `handler_batch`; define one of them, like "
            "`def handler(event, context):`"
        )
    return Handler(all_ if callable(all_) else one, takes_all=callable(all_))


class WholeLines:
    """Standard output of several threads: no line of one is cut in two by another's."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._own = threading.local()

    def write(self, text: str) -> int:
        lines, line_break, rest = (getattr(self._own, "rest", "") + text).rpartition("\n")
        self._own.rest = rest
        self._stream.write(lines + line_break)
        return len(text)

    def flush(self) -> None:
        """Also what is no whole line yet."""
        self._stream.write(self._own.__dict__.pop("rest", ""))
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Stop:
    """Why no further event is to be begun."""

    def __init__(self, deadline: float | None) -> None:
        self.told: str | None = None
        self.latest = math.inf
        # What is done by then can still be reported; at the deadline the Machine is destroyed. A
        # deadline that was over at the start comes of clocks that differ, and says nothing.
        if deadline is not None and deadline > STARTED:
            self.latest = deadline - min(5.0, (deadline - STARTED) / 10)

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: object) -> None:
        self.told = signal.Signals(number).name

    def reason(self) -> str | None:
        if self.told is not None:
            return f"{self.told} came before it was begun"
        return "the deadline came before it was begun" if time.time() > self.latest else None


def read_concurrency() -> int:
    asked = ENVIRONMENT.get("LAMBDO_CONCURRENCY", "1")
    if not asked.isdecimal() or int(asked) < 1:
        raise Unusable(f"LAMBDO_CONCURRENCY is {asked}; write 1 or more")
    return int(asked)


def call_for_each(handler: Handler, jobs: list[Job], stop: Stop, concurrency: int) -> None:
    """In order, so many at a time: in threads, or on one event loop."""
    # What few need is imported there: it doubles the time of a start.
    if handler.is_async:
        import asyncio

        asyncio.run(call_on_a_loop(handler, jobs, stop, concurrency))
    elif concurrency == 1:
        for job in jobs:
            call_for(handler, job, stop)
    else:
        from concurrent.futures import ThreadPoolExecutor

        sys.stdout = WholeLines(sys.stdout)
        with ThreadPoolExecutor(concurrency) as threads:
            list(threads.map(lambda job: call_for(handler, job, stop), jobs))


async def call_on_a_loop(handler: Handler, jobs: list[Job], stop: Stop, concurrency: int) -> None:
    import asyncio

    waiting: Iterator[Job] = iter(jobs)

    async def work() -> None:
        for job in waiting:
            if (why_not := stop.reason()) is not None:
                settle(job, why_not, None)
                continue
            began, error = time.perf_counter(), None
            try:
                await handler.call(job.event, job.context)
            except GeneratorExit:  # the loop has ended before its time, and `main` says so
                raise
            except BaseException as thrown:
                error = text_of(thrown)
            stop_if_forked()
            settle(job, error, began)

    await asyncio.gather(*(work() for _ in range(concurrency)))


def call_for(handler: Handler, job: Job, stop: Stop) -> None:
    if (why_not := stop.reason()) is not None:
        settle(job, why_not, None)
        return
    began, error = time.perf_counter(), None
    try:
        finished(handler.call(job.event, job.context))
    except BaseException as thrown:  # sys.exit is an exception too
        error = text_of(thrown)
    stop_if_forked()
    settle(job, error, began)


def call_for_all(handler: Handler, jobs: list[Job], about: About, stop: Stop) -> None:
    if (why_not := stop.reason()) is not None:
        for job in jobs:
            settle(job, why_not, None)
        return
    context = BatchContext(**vars(about), messages=tuple(job.context for job in jobs))
    began = time.perf_counter()
    failed: set[str] = set()
    error = None
    try:
        returned = finished(handler.call([job.event for job in jobs], context))
        failed = read_failures(returned, jobs)
    except BaseException as thrown:
        error = text_of(thrown)
    stop_if_forked()
    for job in jobs:
        returned_it = job.context.message_id in failed
        settle(job, error or ("returned in batchItemFailures" if returned_it else None), began)


def finished(result: Any) -> Any:
    """Return the result of a call, awaited if needed."""
    if not inspect.isawaitable(result):
        return result

    import asyncio

    async def wait() -> Any:
        return await result

    return asyncio.run(wait())


def read_failures(returned: Any, jobs: list[Job]) -> set[str]:
    """Return the IDs in `batchItemFailures[].itemIdentifier`; raise if one is unknown."""
    items = (returned.get("batchItemFailures") or []) if isinstance(returned, dict) else []
    known = {job.context.message_id for job in jobs if job.context.message_id is not None}
    failed: list[Any] = [it.get("itemIdentifier") if isinstance(it, dict) else None for it in items]
    for message_id in failed:
        if message_id not in known:
            raise ValueError(
                f"batchItemFailures names {message_id!r}, which is no message of the batch"
            )
    return set(failed)


def stop_if_forked() -> None:
    """End a child that the function has forked; only its parent goes on with the batch."""
    if os.getpid() != PROCESS:
        sys.stdout.flush()
        os._exit(1)


# ------------------------------------------------------------------------------------ the report


def report(failed: list[Job]) -> bool:
    """Report what failed; whether that was accepted. False if nobody asks, or no id is known."""
    ids = [job.context.message_id for job in failed]
    if "LAMBDO_REPORT_URL" not in ENVIRONMENT or None in ids:
        return False
    body = json.dumps({"batchItemFailures": [{"itemIdentifier": one} for one in ids]}).encode()
    for pause in (*REPORT_PAUSES, None):
        status, text = post(body)
        if status == ACCEPTED:
            return True
        if pause is None or not (status in MAY_PASS or status >= SERVER_ERROR):
            break
        time.sleep(pause)
    fields = {"status": status, "answer": text}
    LOG.error("the report was not accepted", extra={"fields": fields})
    return False


def post(body: bytes) -> tuple[int, str]:
    """Return the status, 0 if there was no answer, and the text."""
    # Not urllib: it would follow redirects and use proxies, and the token is for the router alone.
    import http.client
    from urllib.parse import urlsplit

    url = urlsplit(ENVIRONMENT["LAMBDO_REPORT_URL"])
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    headers = {
        "Authorization": f"Bearer {ENVIRONMENT.get('LAMBDO_REPORT_TOKEN', '')}",
        "Content-Type": "application/json",
    }
    try:
        with closing(kind(url.hostname or "", url.port, timeout=REPORT_PATIENCE)) as connection:
            connection.request("POST", url.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__


# -------------------------------------------------------------------------------------- the life


def main() -> int:
    try:
        jobs, about = read_batch()
        stop = Stop(about.deadline)
        stop.listen()
        handler = load_handler()
        concurrency = read_concurrency()
    except BaseException as problem:
        LOG.error("%s", problem if isinstance(problem, Unusable) else text_of(problem))
        return sum_up([], About(), 1)
    for job in jobs:
        if job.unreadable is not None:
            settle(job, job.unreadable, None)
    readable = [job for job in jobs if job.unreadable is None]
    try:
        if not handler.takes_all:
            call_for_each(handler, readable, stop, concurrency)
        elif readable:
            call_for_all(handler, readable, about, stop)
    except BaseException as error:
        stop_if_forked()
        LOG.error("the process ended early: %s", text_of(error))
        for job in jobs:
            if job.outcome is None:
                settle(job, "the process ended before it was done", None)
    failed = [job for job in jobs if job.outcome != "done"]
    return sum_up(jobs, about, 0 if not failed or report(failed) else 1)


def sum_up(jobs: list[Job], about: About, exit_code: int) -> int:
    failed = sum(job.outcome != "done" for job in jobs)
    fields = {
        "events": len(jobs),
        "failed": failed,
        "retried": failed if exit_code == 0 else len(jobs),
        "exit_code": exit_code,
        **named(about),
    }
    level = logging.INFO if exit_code == 0 else logging.ERROR
    LOG.log(level, "batch ended", extra={"fields": fields})
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
