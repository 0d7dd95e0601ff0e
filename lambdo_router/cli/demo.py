"""`demo`: run the example routes on the embedded stack, and show how each message ended."""

import asyncio
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lambdo_router.cli.output.live import LiveView, console
from lambdo_router.config.diagnostics import counted, escape
from lambdo_router.config.load import load_routes
from lambdo_router.config.messages import Sample, read_samples
from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.engine.router import Limits, Router
from lambdo_router.local.demo import (
    ROUTES_FILE,
    Outcome,
    Outcomes,
    differences,
    example_folder,
    runtime_of,
)
from lambdo_router.local.machines_server import MachineEvent, MachineRecord
from lambdo_router.local.runtimes import is_here
from lambdo_router.local.stack import local_stack
from lambdo_router.service.running import no_changes

# Faster than Fly's one create a second and app: the demo shows where messages go, and `dev` keeps
# Fly's rate.
_LIMITS: Final = Limits(launch_rate=20.0, launch_burst=20, grace=5.0)
_PATIENCE: Final = 30.0
"""Seconds after which messages that have not ended are reported as missing."""
_MESSAGES: Final = Path("examples", "messages")


@click.command()
@click.option("--verbose", is_flag=True, help="Show events as they happen, like `dev`.")
def command(*, verbose: bool) -> None:
    """
    Run the example routes with the example messages, on its own SQS and Machines API.

    It needs nothing, and nothing leaves this machine: Machines are local processes. It takes a few
    seconds, and ends with a table of how each message ended. Messages are skipped if this machine
    lacks the interpreter for their function.

    \b
      lambdo-router demo
      lambdo-router demo --verbose

    Exit codes: 0 every message ended as its file expects, 1 some did not.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    folder = example_folder()
    output = console()
    # Variables of this environment might lead the example's queues elsewhere.
    table = load_routes(folder / ROUTES_FILE, {}).table
    samples, skipped = _playable(table, read_samples(folder / _MESSAGES))
    view = LiveView(output, time.time) if verbose else None
    results = asyncio.run(play(folder, table, samples, view, _PATIENCE))
    output.print(_as_table(results))
    for line in skipped:
        output.print(line, soft_wrap=True)
    raise SystemExit(_sum_up(output, folder, results))


def _playable(
    table: RoutingTable, samples: tuple[Sample, ...]
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Return the samples that can run here, and a line about each of the others."""
    playable, skipped = [], []
    for sample in samples:
        runtime = runtime_of(table, sample)
        if runtime is None or is_here(runtime):
            playable.append(sample)
        else:
            name = sample.name.removesuffix(".json")
            why = f"this machine has no `{runtime.interpreter}` to call its function"
            skipped.append(f"{name} is skipped: {why}.")
    return tuple(playable), tuple(skipped)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """A message, how it ended, and where that differs from what its file expects."""

    sample: Sample
    outcome: Outcome
    differences: tuple[str, ...]


async def play(
    folder: Path,
    table: RoutingTable,
    samples: tuple[Sample, ...],
    view: LiveView | None,
    patience: float,
) -> tuple[DemoResult, ...]:
    """
    Send the samples through a router on the embedded stack, with `folder` in place of all images.

    Returns when all messages have ended, or after `patience` seconds. Raises SampleError for a
    message to a queue that the table does not have.
    """
    outcomes, stop, progress = Outcomes(), asyncio.Event(), asyncio.Event()

    def observe(fact: journal.Fact) -> None:
        outcomes.observe(fact)
        progress.set()
        if view is not None:
            view.observe(fact)

    def machine_event(record: MachineRecord, event: MachineEvent) -> None:
        if event.type == "exit" and record.exit is not None:
            outcomes.machine_ended(record.id, record.exit.code)
            progress.set()
        if view is not None:
            view.machine_event(record, event)

    # Short polls, because shutdown waits for the poll in flight.
    async with local_stack(folder, limits=_LIMITS, poll_seconds=0) as stack:
        stack.machines.observers.append(machine_event)
        if view is not None:
            stack.machines.on_line = view.output
        sent = await stack.send(table, samples)
        router = Router(
            *(table, stack.open_queue, stack.launcher, observe),
            limits=_LIMITS,
            reports=stack.reports,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(router.run(stop, no_changes()))
            await _until_final(outcomes, sent, progress, patience)
            stop.set()
    return tuple(
        _result(sample, outcomes[message_id], patience) for message_id, sample in sent.items()
    )


async def _until_final(
    outcomes: Outcomes, sent: Mapping[str, Sample], progress: asyncio.Event, patience: float
) -> None:
    with suppress(TimeoutError):  # the results show what is missing
        async with asyncio.timeout(patience):
            while not outcomes.are_final(sent):
                progress.clear()
                await progress.wait()


def _result(sample: Sample, outcome: Outcome, waited: float) -> DemoResult:
    if missing := outcome.missing():
        return DemoResult(sample, outcome, (f"{missing}, after {waited:g} s",))
    if sample.expect is None:
        return DemoResult(sample, outcome, ("its file has no `expect` to compare with",))
    return DemoResult(sample, outcome, tuple(differences(sample.expect, outcome)))


def _as_table(results: tuple[DemoResult, ...]) -> Table:
    # 80 columns are enough, unless something is unexpected.
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("message", "route or reason", "Machine"):
        table.add_column(heading, overflow="fold")
    for heading in ("events", "exit\ncode"):
        table.add_column(heading, justify="right")
    for heading in ("settlement", ""):
        table.add_column(heading, overflow="fold")
    for result in results:
        outcome = result.outcome
        refused = outcome.reason is not None
        as_expected = not result.differences
        table.add_row(
            Text(result.sample.name.removesuffix(".json")),
            Text(outcome.reason or outcome.route or "", "yellow" if refused else "green"),
            Text(outcome.machine or "", "cyan"),
            _number(outcome.events),
            _number(outcome.exit_code),
            Text(outcome.settlement or ""),
            Text("ok", "green") if as_expected else Text("unexpected", "bold red"),
        )
    return table


def _number(value: int | None) -> str:
    return "" if value is None else str(value)


def _sum_up(output: Console, folder: Path, results: tuple[DemoResult, ...]) -> int:
    """Print the verdict and what to do next; return the exit code."""
    unexpected = [result for result in results if result.differences]
    machines = {result.outcome.machine for result in results} - {None}
    verdict = "all ended as expected."
    if unexpected:
        verdict = f"{len(unexpected)} ended differently than expected."
    size = f"{counted(len(results), 'message')}, {counted(len(machines), 'Machine')}"
    output.print(f"{size}: {verdict}", soft_wrap=True)
    for result in unexpected:
        for difference in result.differences:
            line = Text.assemble((f"{result.sample.name}: ", "bold"), (escape(difference), "red"))
            output.print(line, soft_wrap=True)
    routes, messages = folder / ROUTES_FILE, folder / _MESSAGES
    output.print(f"The routes are in {routes}, the messages in {messages}.", soft_wrap=True)
    command_line = shlex.join(["lambdo-router", "dev", str(routes), "--messages", str(messages)])
    output.print(f"To try changes: {command_line}", soft_wrap=True)
    return 1 if unexpected else 0
