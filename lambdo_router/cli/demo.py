"""`demo`: the example routes on the embedded stack, and what became of each example message."""

import asyncio
import shlex
import time
from collections.abc import Mapping
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
from lambdo_router.config.samples import Sample, read_samples
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

# Fly takes one create a second and app. Here nobody is to wait for that: the demo is about where
# messages go, and `dev` keeps Fly's pace.
_PACE: Final = Limits(launch_rate=20.0, launch_burst=20, grace=5.0)
_PATIENCE: Final = 30.0
"""Seconds until what has not ended by then is reported as missing."""
_MESSAGES: Final = Path("examples", "messages")


@click.command()
@click.option("--verbose", is_flag=True, help="Show everything as it happens, as `dev` does.")
def command(*, verbose: bool) -> None:
    """
    Run the example routes with the example messages, on an SQS and a Machines API of its own.

    Nothing is needed and nothing leaves this machine: Machines are local processes. It takes a few
    seconds, and ends with a table of what became of each message. Messages for functions in a
    language that this machine does not have are left out.

    \b
      lambdo-router demo
      lambdo-router demo --verbose

    Exit codes: 0 every message ended as its file says, 1 some did not.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    folder = example_folder()
    output = console()
    # Variables of this environment might lead the example's queues elsewhere.
    table = load_routes(folder / ROUTES_FILE, {}).table
    samples, skipped = _playable(table, read_samples(folder / _MESSAGES))
    view = LiveView(output, time.time) if verbose else None
    endings = asyncio.run(play(folder, table, samples, view, _PATIENCE))
    output.print(_as_table(endings))
    for line in skipped:
        output.print(line, soft_wrap=True)
    raise SystemExit(_sum_up(output, folder, endings))


def _playable(
    table: RoutingTable, samples: tuple[Sample, ...]
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """The samples, and a line about each whose function this machine cannot call."""
    playable, skipped = [], []
    for sample in samples:
        runtime = runtime_of(table, sample)
        if runtime is None or is_here(runtime):
            playable.append(sample)
        else:
            name = sample.name.removesuffix(".json")
            why = f"there is no `{runtime.interpreter}` on this machine to call its function"
            skipped.append(f"{name} is skipped: {why}.")
    return tuple(playable), tuple(skipped)


@dataclass(frozen=True, slots=True)
class Ending:
    """A message, what became of it, and where that is not what its file says."""

    sample: Sample
    outcome: Outcome
    differences: tuple[str, ...]


async def play(
    folder: Path,
    table: RoutingTable,
    samples: tuple[Sample, ...],
    view: LiveView | None,
    patience: float,
) -> tuple[Ending, ...]:
    """
    Send the samples through a router on the embedded stack; images stand for `folder`.

    Ends when all has ended, or after `patience` seconds. Raises SampleError for a message to a
    queue that the table does not have.
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

    # Short polls, because a stop waits for the last one to come home.
    async with local_stack(folder, limits=_PACE, poll_seconds=0) as stack:
        stack.machines.platform.observers.append(machine_event)
        if view is not None:
            stack.machines.on_line = view.output
        sent = await stack.send(table, samples)
        router = Router(
            table,
            stack.open_queue,
            stack.launcher,
            observe,
            limits=_PACE,
            reports=stack.reports,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(router.run(stop, no_changes()))
            await _until_final(outcomes, sent, progress, patience)
            stop.set()
    return tuple(
        _ending(sample, outcomes[message_id], patience) for message_id, sample in sent.items()
    )


async def _until_final(
    outcomes: Outcomes, sent: Mapping[str, Sample], progress: asyncio.Event, patience: float
) -> None:
    try:
        async with asyncio.timeout(patience):
            while not outcomes.are_final(sent):
                progress.clear()
                await progress.wait()
    except TimeoutError:
        pass  # what is missing is in the endings


def _ending(sample: Sample, outcome: Outcome, waited: float) -> Ending:
    if missing := outcome.missing():
        return Ending(sample, outcome, (f"{missing}, after {waited:g} s",))
    if sample.expect is None:
        return Ending(sample, outcome, ("its file has no `expect` to compare with",))
    return Ending(sample, outcome, tuple(differences(sample.expect, outcome)))


def _as_table(endings: tuple[Ending, ...]) -> Table:
    # 80 columns are enough, as long as nothing is unexpected.
    table = Table(box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("message", "route or reason", "Machine"):
        table.add_column(heading, overflow="fold")
    for heading in ("events", "exit\ncode"):
        table.add_column(heading, justify="right")
    for heading in ("settlement", ""):
        table.add_column(heading, overflow="fold")
    for ending in endings:
        outcome = ending.outcome
        refused = outcome.reason is not None
        as_expected = not ending.differences
        table.add_row(
            Text(ending.sample.name.removesuffix(".json")),
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


def _sum_up(output: Console, folder: Path, endings: tuple[Ending, ...]) -> int:
    """What the table comes to, and where to go on; the exit code."""
    unexpected = [ending for ending in endings if ending.differences]
    machines = {ending.outcome.machine for ending in endings} - {None}
    verdict = "all ended as their files say."
    if unexpected:
        verdict = f"{len(unexpected)} of them ended otherwise than expected."
    size = f"{counted(len(endings), 'message')}, {counted(len(machines), 'Machine')}"
    output.print(f"{size}: {verdict}", soft_wrap=True)
    for ending in unexpected:
        for difference in ending.differences:
            line = Text.assemble((f"{ending.sample.name}: ", "bold"), (escape(difference), "red"))
            output.print(line, soft_wrap=True)
    routes, messages = folder / ROUTES_FILE, folder / _MESSAGES
    output.print(f"The routes are in {routes}, the messages in {messages}.", soft_wrap=True)
    play_with = shlex.join(["lambdo-router", "dev", str(routes), "--messages", str(messages)])
    output.print(f"To play with them: {play_with}", soft_wrap=True)
    return 1 if unexpected else 0
