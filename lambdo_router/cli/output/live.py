"""
What happens, as it happens: one line for each thing, with its time, for people.

    12:03:04.124 received  uploads 5f3c2a1b
    12:03:04.125 routed    uploads 5f3c2a1b -> image-uploads
    12:03:04.301 launched  image-uploads 3d8d7000c52d78 in iad, performance-2x, 2 events
    12:03:04.302 settled   uploads 5f3c2a1b deleted
    12:03:04.671 output    image-uploads 3d8d7000c52d78 | thumbnail of s3://acme-uploads/harbor.jpg
    12:03:04.690 exited    image-uploads 3d8d7000c52d78 code 0 after 0.1 s

Much of it was written by whoever may send messages. So nothing is taken for markup, and what a
terminal would act upon is written out. Colours are for terminals only.
"""

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import assert_never

from rich.console import Console
from rich.text import Text

from lambdo_router.config.diagnostics import counted, escape
from lambdo_router.core import journal
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Retry, Settlement
from lambdo_router.local.machines_server import MachineEvent, MachineRecord

_GOOD, _BAD, _POOR, _QUIET, _NAMED = "green", "red", "yellow", "dim", "cyan"
_LONGEST = 500
"""Characters of a foreign text that are shown."""
_ID = 8
"""Characters of a message id that are shown: enough to tell them apart by eye."""
_WIDE = 160
"""Columns of a table where there is no terminal to say how many fit."""

_Part = tuple[str, str]
"""A piece of a line and its colour."""


def console(when_gone: Callable[[], None] | None = None) -> Console:
    """
    Standard output as rich writes it: in colour, if it is a terminal.

    A reader who goes away, as `head` does, ends the output but not the program: that is for
    `when_gone` to do.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal that knows no umlauts must not be the end of the program.
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
        # What is still in the buffer would fail again at the end of the process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if self.when_gone is not None:
            self.when_gone()


@dataclass(slots=True)
class LiveView:
    """Prints facts of the journal, and what the Machines do and say."""

    console: Console
    wall: Callable[[], float]
    """Seconds since the epoch."""
    _routes: dict[str, str] = field(default_factory=dict)
    """Of each Machine."""

    def observe(self, fact: journal.Fact) -> None:
        """A fact of the journal: an Observer."""
        match fact:
            case journal.Received() | journal.Redelivered() | journal.Decided():
                self._message(fact)
            case journal.Launched() | journal.LaunchFailed():
                self._launch(fact)
            case journal.Settled():
                word, colour, text = _ending(fact.settlement)
                self._about("settled", fact.queue, fact.message_id, (word, colour), (text, ""))
            case journal.QueueOpened() | journal.QueueClosed() | journal.QueueFailed():
                self._queue(fact)
            case (
                journal.GivenBack()
                | journal.LeaseLost()
                | journal.SettlementFailed()
                | journal.InternalError()
            ):
                self._trouble(fact)
            case (
                journal.MachineEnded()
                | journal.ReportRefused()
                | journal.MachineAdopted()
                | journal.MachineOverdue()
                | journal.WatchFailed()
                | journal.ProfileFailing()
                | journal.ProfileRecovered()
            ):
                self._flight(fact)
            case journal.TableActivated() | journal.RoutesLoaded() | journal.ReloadFailed():
                self._routes_file(fact)
            case journal.Stopping() | journal.Stopped():
                self._stop(fact)
            case _:
                pass  # routine; other lines show what comes of it

    def machine_event(self, record: MachineRecord, event: MachineEvent) -> None:
        """Something has happened to a Machine: only its end is worth a line."""
        self._routes[record.id] = record.metadata.get("lambdo_route", record.name)
        if event.type != "exit" or record.exit is None:
            return
        started = [earlier.at for earlier in record.events if earlier.status == "started"]
        seconds = f" after {event.at - started[-1]:.1f} s" if started else ""
        end = record.exit
        killed = ", out of memory" if end.oom_killed else ""
        code = (f"code {end.code}{killed}", _GOOD if end.code == 0 else _BAD)
        self.say("exited", (f"{self._machine(record.id)} ", _NAMED), code, (seconds, _QUIET))

    def output(self, machine_id: str, stream: str, line: str) -> None:
        """One line that a Machine has printed: a LineSink."""
        bar = " | " if stream == "stdout" else " ! "
        text = line.replace("\t", "    ")
        self.say("output", (self._machine(machine_id), _NAMED), (bar, _QUIET), (text, ""))

    def say(self, what: str, *parts: _Part) -> None:
        """One line: the time, what happened, and the rest of it."""
        clock = datetime.fromtimestamp(self.wall()).astimezone()
        time = f"{clock:%H:%M:%S}.{clock.microsecond // 1000:03d}"
        line = Text.assemble((f"{time} ", _QUIET), (f"{what:<9} ", "bold"))
        for text, colour in parts:
            line.append(_shown(text), colour)
        line.rstrip()
        self.console.print(line, soft_wrap=True)

    def note(self, what: str, text: str) -> None:
        """One line that belongs to no time."""
        line = Text.assemble((f"{what:<9} ", "bold"), escape(text))
        self.console.print(line, soft_wrap=True)

    def _about(self, what: str, queue: str, message_id: str, *parts: _Part) -> None:
        self.say(what, (f"{queue} {message_id[:_ID]} ", _NAMED), *parts)

    def _machine(self, machine_id: str) -> str:
        return f"{self._routes.get(machine_id, 'machine')} {machine_id}"

    def _message(self, fact: journal.Received | journal.Redelivered | journal.Decided) -> None:
        match fact:
            case journal.Received(message=message):
                count = message.receive_count
                again = f"for the {_ordinal(count)} time" if count > 1 else ""
                self._about("received", fact.queue, message.id, (again, _POOR))
            case journal.Redelivered():
                text = "delivered again while it is held"
                self._about("received", fact.queue, fact.message_id, (text, _POOR))
            case journal.Decided(decision=Routed(route=route)):
                self._about("routed", fact.queue, fact.message_id, ("-> ", ""), (route.name, _GOOD))
            case journal.Decided(decision=Refused() as refused):
                by = f" (route {refused.route.name})" if refused.route is not None else ""
                reason = (f"{refused.reason}{by}: ", _POOR)
                self._about("refused", fact.queue, fact.message_id, reason, (refused.detail, ""))

    def _launch(self, fact: journal.Launched | journal.LaunchFailed) -> None:
        key, events = fact.batch.key, counted(len(fact.batch.entries), "event")
        match fact:
            case journal.Launched(machine=machine):
                self._routes[machine.id] = key.route.name
                where = f" in {machine.region}, {key.profile.size}, {events}"
                again = f" at attempt {fact.attempts}" if fact.attempts > 1 else ""
                known = " (created by an earlier attempt)" if machine.adopted else ""
                name = (self._machine(machine.id), _NAMED)
                self.say("launched", name, (f"{where}{again}{known}", ""))
            case journal.LaunchFailed(error=error, pause=pause):
                then = "given up" if pause is None else f"next attempt in {pause:.1f} s"
                name = (f"{key.route.name} ", _NAMED)
                self.say("no launch", name, (str(error), _BAD), (f" ({events}; {then})", _QUIET))

    def _queue(self, fact: journal.QueueOpened | journal.QueueClosed | journal.QueueFailed) -> None:
        name = (f"{fact.queue} ", _NAMED)
        match fact:
            case journal.QueueOpened():
                self.say("queue", name, ("is read", ""))
            case journal.QueueClosed():
                self.say("queue", name, ("is read no more", ""))
            case journal.QueueFailed(action=action, error=error, pause=pause):
                then = "" if pause is None else f" (next try in {pause:.1f} s)"
                self.say("queue", name, (f"{action}: {error}", _BAD), (then, _QUIET))

    def _trouble(
        self,
        fact: journal.GivenBack
        | journal.LeaseLost
        | journal.SettlementFailed
        | journal.InternalError,
    ) -> None:
        name = (f"{fact.queue} {_ids(fact.message_ids)} ", _NAMED)
        match fact:
            case journal.GivenBack():
                self.say("returned", name, ("visible again", ""))
            case journal.LeaseLost(why=why):
                self.say("lost", name, (f"others may have it now: {why}", _BAD))
            case journal.SettlementFailed(action=action, why=why):
                self.say("unsettled", name, (f"{action}: {why}; it will come again", _BAD))
            case journal.InternalError(error=error):
                text = f"a defect of lambdo-router: {type(error).__name__}: {error}"
                self.say("failed", name, (text, _BAD))

    def _flight(
        self,
        fact: journal.MachineEnded
        | journal.ReportRefused
        | journal.MachineAdopted
        | journal.MachineOverdue
        | journal.WatchFailed
        | journal.ProfileFailing
        | journal.ProfileRecovered,
    ) -> None:
        match fact:
            case journal.MachineEnded(failure=""):
                pass  # its exit was told when it happened
            case journal.MachineEnded(machine_id=machine_id, failure=failure):
                self.say("failed", (f"{self._machine(machine_id)} ", _NAMED), (failure, _BAD))
            case journal.ReportRefused(batch_id=batch_id, status=status, why=why):
                text = f"not taken ({status}): {why}"
                self.say("report", (f"of batch {batch_id} ", _NAMED), (text, _BAD))
            case journal.MachineAdopted(machine_id=machine_id, message_id=message_id):
                text = f"holds {_ids((message_id,))} already"
                self.say("known", (f"{self._machine(machine_id)} ", _NAMED), (text, ""))
            case journal.MachineOverdue(machine_id=machine_id):
                text = "its time is up: destroyed"
                self.say("overdue", (f"{self._machine(machine_id)} ", _NAMED), (text, _BAD))
            case journal.WatchFailed(error=error, pause=pause):
                again = f"{error}; asked again in {pause:.0f} s"
                self.say("watching", (fact.app + " ", _NAMED), (again, _BAD))
            case journal.ProfileFailing(error=error, pause=pause):
                text = f"{error}; one batch probes in {pause:.0f} s"
                self.say("failing", (fact.profile + " ", _NAMED), (text, _BAD))
            case journal.ProfileRecovered():
                self.say("recovered", (fact.profile, _GOOD))

    def _stop(self, fact: journal.Stopping | journal.Stopped) -> None:
        match fact:
            case journal.Stopping():
                self.say("stopping", ("what is under way may end", _QUIET))
            case journal.Stopped():
                self.say("stopped")

    def _routes_file(
        self, fact: journal.TableActivated | journal.RoutesLoaded | journal.ReloadFailed
    ) -> None:
        match fact:
            case journal.TableActivated(table=table):
                done = "loaded" if fact.previous is None else "reloaded"
                queues, routes = len(table.sources()), len(table.routes)
                size = f"{counted(routes, 'route')}, {counted(queues, 'queue')}"
                self.say("routes", (done, _GOOD), (f": {size} ", ""), (fact.generation, _QUIET))
            case journal.RoutesLoaded(warnings=warnings):
                for warning in warnings:
                    self.say("", (warning, _QUIET))
            case journal.ReloadFailed(problems=problems):
                self.say("routes", ("not taken, the last good ones stay", _BAD))
                for problem in problems:
                    self.say("", (problem, _BAD))


def _ending(settlement: Settlement) -> tuple[str, str, str]:
    """What became of a message: a word, its colour, and more."""
    match settlement:
        case Acknowledge(why="dropped"):
            return "dropped", _POOR, ""
        case Acknowledge():
            return "deleted", _GOOD, ""
        case Reject(to=to, rejection=rejection):
            return "rejected", _POOR, f" to {to} as {rejection.reason}"
        case Leave(reason=reason):
            return "left", _POOR, f" on the queue as {reason}"
        case Retry(delay=delay, why=why):
            return "retried", _POOR, f" in {delay:.0f} s: {why}"
        case unreachable:
            assert_never(unreachable)


def _shown(text: str) -> str:
    """Foreign text, fit for a terminal and not too long."""
    return escape(
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"
    )


def _ids(message_ids: Iterable[str]) -> str:
    return " ".join(message_id[:_ID] for message_id in message_ids)


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else suffix}"
