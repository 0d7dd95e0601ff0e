"""
The live view of `dev` and `demo`: one line for each event, with its time.

    12:03:04.124 received  uploads 5f3c2a1b
    12:03:04.125 routed    uploads 5f3c2a1b -> image-uploads
    12:03:04.301 launched  image-uploads 3d8d7000c52d78 in iad, performance-2x, 2 events
    12:03:04.302 settled   uploads 5f3c2a1b deleted
    12:03:04.671 output    image-uploads 3d8d7000c52d78 | thumbnail of s3://acme-uploads/harbor.jpg
    12:03:04.690 exited    image-uploads 3d8d7000c52d78 code 0 after 0.1 s

Senders wrote much of the text, so nothing is interpreted as markup, and control characters are
escaped. Colours are for terminals only.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.text import Text

from lambdo_router.config.diagnostics import counted, escape
from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.machine_metadata import ROUTE
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Settlement
from lambdo_router.local.machines_server import MachineEvent, MachineRecord

_GOOD, _BAD, _POOR, _QUIET, _NAMED = "green", "red", "yellow", "dim", "cyan"
_LONGEST = 500
"""Characters of a text from outside that are shown."""
_ID = 8
"""Characters of a message ID that are shown: enough to tell them apart."""
_WIDE = 160
"""Columns of a table without a terminal."""

_Part = tuple[str, str]
"""A piece of a line and its colour."""
_Line = tuple[str, Sequence[_Part]]
"""What happened, in one word, and the rest of the line."""


def console(when_gone: Callable[[], None] | None = None) -> Console:
    """
    Return standard output for rich, in colour if it is a terminal.

    A reader that goes away, as `head` does, ends the output but not the program; that is up to
    `when_gone`.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal without umlauts must not end the program.
        sys.stdout.reconfigure(errors="backslashreplace")
    terminal = sys.stdout.isatty()
    width = None if terminal else _WIDE
    output = _Console(width=width, markup=False, emoji=False, highlight=False)
    output.when_gone = when_gone
    return output


class _Console(Console):
    when_gone: Callable[[], None] | None = None

    def on_broken_pipe(self) -> None:
        self.quiet = True
        # Flushing the buffer at exit would fail again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if self.when_gone is not None:
            self.when_gone()


@dataclass(slots=True)
class LiveView:
    """Prints facts of the journal, and the output and the end of Machines."""

    console: Console
    clock: Callable[[], float]
    """Returns unix seconds."""
    _routes: dict[str, str] = field(default_factory=dict)
    """The route of each Machine."""

    def observe(self, fact: journal.Fact) -> None:
        """Print the lines of a fact: an Observer. Facts that others follow from have none."""
        if isinstance(fact, journal.Launched):
            self._routes[fact.machine.id] = fact.batch.key.route.name
        for lines in (_message_lines, self._machine_lines, _router_lines):
            for what, parts in lines(fact):
                self.say(what, *parts)

    def machine_event(self, record: MachineRecord, event: MachineEvent) -> None:
        """Print the end of a Machine; its other events have no line."""
        self._routes[record.id] = record.metadata.get(ROUTE, record.name)
        if event.type != "exit" or record.exit is None:
            return
        started = [earlier.at for earlier in record.events if earlier.status == "started"]
        seconds = f" after {event.at - started[-1]:.1f} s" if started else ""
        end = record.exit
        killed = ", out of memory" if end.oom_killed else ""
        code = (f"code {end.code}{killed}", _GOOD if end.code == 0 else _BAD)
        self.say("exited", self._machine(record.id), code, (seconds, _QUIET))

    def output(self, machine_id: str, stream: str, line: str) -> None:
        """Print one line of a Machine's output: a LineSink."""
        bar = "| " if stream == "stdout" else "! "
        text = line.replace("\t", "    ")
        self.say("output", self._machine(machine_id), (bar, _QUIET), (text, ""))

    def say(self, what: str, *parts: _Part) -> None:
        """Print one line: the time, what happened, and the rest of it."""
        now = datetime.fromtimestamp(self.clock()).astimezone()
        time = f"{now:%H:%M:%S}.{now.microsecond // 1000:03d}"
        line = Text.assemble((f"{time} ", _QUIET), (f"{what:<9} ", "bold"))
        for text, colour in parts:
            line.append(_shown(text), colour)
        line.rstrip()
        self.console.print(line, soft_wrap=True)

    def note(self, what: str, text: str) -> None:
        """Print one line without a time."""
        line = Text.assemble((f"{what:<9} ", "bold"), escape(text))
        self.console.print(line, soft_wrap=True)

    def _machine(self, machine_id: str) -> _Part:
        return f"{self._routes.get(machine_id, 'machine')} {machine_id} ", _NAMED

    def _machine_lines(self, fact: journal.Fact) -> Iterator[_Line]:
        match fact:
            case journal.Launched(batch=batch, machine=machine, attempts=attempts):
                where = f"in {machine.region}, {batch.key.profile.size}, {_events(batch)}"
                again = f" at attempt {attempts}" if attempts > 1 else ""
                known = " (created by an earlier attempt)" if machine.adopted else ""
                yield "launched", [self._machine(machine.id), (f"{where}{again}{known}", "")]
            case journal.LaunchFailed(batch=batch, error=error, pause=pause):
                then = "given up" if pause is None else f"next attempt in {pause:.1f} s"
                more = (f" ({_events(batch)}; {then})", _QUIET)
                yield "no launch", [_name(batch.key.route.name), (str(error), _BAD), more]
            case journal.MachineEnded(machine_id=machine_id, failure=failure) if failure:
                yield "failed", [self._machine(machine_id), (failure, _BAD)]
            case journal.ReportRefused(batch_id=batch_id, status=status, why=why):
                text = f"refused ({status}): {why}"
                yield "report", [_name(f"of batch {batch_id}"), (text, _BAD)]
            case journal.MachineAdopted(machine_id=machine_id, message_id=message_id):
                text = f"already holds {_ids((message_id,))}"
                yield "known", [self._machine(machine_id), (text, "")]
            case journal.MachineOverdue(machine_id=machine_id):
                yield "overdue", [self._machine(machine_id), ("timed out: destroyed", _BAD)]
            case journal.WatchFailed(app=app, error=error, pause=pause):
                text = f"{error}; next attempt in {pause:.0f} s"
                yield "watching", [_name(app), (text, _BAD)]
            case journal.ProfileFailing(profile=profile, error=error, pause=pause):
                text = f"{error}; one batch probes it in {pause:.0f} s"
                yield "failing", [_name(profile), (text, _BAD)]
            case journal.ProfileRecovered(profile=profile):
                yield "recovered", [(profile, _GOOD)]


def _message_lines(fact: journal.Fact) -> Iterator[_Line]:
    match fact:
        case journal.Received(queue=queue, message=message):
            count = message.receive_count
            again = f"for the {_ordinal(count)} time" if count > 1 else ""
            yield "received", [_of(queue, message.id), (again, _POOR)]
        case journal.Redelivered(queue=queue, message_id=message_id):
            yield "received", [_of(queue, message_id), ("delivered again while held", _POOR)]
        case journal.Decided(queue=queue, message_id=message_id, decision=Routed(route=route)):
            yield "routed", [_of(queue, message_id), ("-> ", ""), (route.name, _GOOD)]
        case journal.Decided(queue=queue, message_id=message_id, decision=Refused() as refused):
            by = f" (route {refused.route.name})" if refused.route is not None else ""
            reason = (f"{refused.reason}{by}: ", _POOR)
            yield "refused", [_of(queue, message_id), reason, (refused.detail, "")]
        case journal.Settled(queue=queue, message_id=message_id, settlement=settlement):
            word, colour, text = _ending(settlement)
            yield "settled", [_of(queue, message_id), (word, colour), (text, "")]
        case journal.GivenBack(queue=queue, message_ids=ids):
            yield "returned", [_of(queue, *ids), ("visible again", "")]
        case journal.LeaseLost(queue=queue, message_ids=ids, why=why):
            yield "lost", [_of(queue, *ids), (f"may be visible to others: {why}", _BAD)]
        case journal.SettlementFailed(queue=queue, message_ids=ids, action=action, why=why):
            text = f"{action}: {why}; SQS will redeliver it"
            yield "unsettled", [_of(queue, *ids), (text, _BAD)]
        case journal.InternalError(queue=queue, message_ids=ids, error=error):
            text = f"a bug in lambdo-router: {type(error).__name__}: {error}"
            yield "failed", [_of(queue, *ids), (text, _BAD)]


def _router_lines(fact: journal.Fact) -> Iterator[_Line]:
    match fact:
        case journal.QueueOpened(queue=queue):
            yield "queue", [_name(queue), ("opened", "")]
        case journal.QueueClosed(queue=queue):
            yield "queue", [_name(queue), ("closed", "")]
        case journal.QueueFailed(queue=queue, action=action, error=error, pause=pause):
            then = "" if pause is None else f" (next attempt in {pause:.1f} s)"
            yield "queue", [_name(queue), (f"{action}: {error}", _BAD), (then, _QUIET)]
        case journal.TableActivated(table=table, previous=previous, generation=generation):
            done = "loaded" if previous is None else "reloaded"
            routes, queues = len(table.routes), len(table.sources())
            size = f": {counted(routes, 'route')}, {counted(queues, 'queue')} "
            yield "routes", [(done, _GOOD), (size, ""), (generation, _QUIET)]
        case journal.RoutesLoaded(warnings=warnings):
            yield from (("", [(warning, _QUIET)]) for warning in warnings)
        case journal.ReloadFailed(problems=problems):
            yield "routes", [("not reloaded; the last valid routes stay in use", _BAD)]
            yield from (("", [(problem, _BAD)]) for problem in problems)
        case journal.Stopping():
            yield "stopping", [("waiting for what is in progress", _QUIET)]
        case journal.Stopped():
            yield "stopped", []


def _ending(settlement: Settlement) -> tuple[str, str, str]:
    """Return how a message was settled: a word, its colour, and details."""
    if settlement.reason == "dropped":
        return "dropped", _POOR, ""
    colour = _GOOD if settlement.outcome == "deleted" else _POOR
    return settlement.outcome, colour, f" {settlement.summary}".rstrip()


def _shown(text: str) -> str:
    """Escape and shorten a text from outside."""
    return escape(
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
    )


def _name(name: str) -> _Part:
    return f"{name} ", _NAMED


def _of(queue: str, *message_ids: str) -> _Part:
    return _name(f"{queue} {_ids(message_ids)}")


def _events(batch: Batch) -> str:
    return counted(len(batch.entries), "event")


def _ids(message_ids: Iterable[str]) -> str:
    return " ".join(message_id[:_ID] for message_id in message_ids)


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else suffix}"
