"""
What runs inside Machines that only pretend to: a scenario in place of processes.

    ScriptedRunner(outcome=lambda job: Exit(int(job.env["CODE"])), seconds=lambda _: 2.0)
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lambdo_router.local.machines_server import Exit, MachineRecord

NEVER = math.inf
"""The seconds of a job that is stuck: only a kill ends it."""


@dataclass(slots=True)
class ScriptedRunner:
    """
    Runs nothing: every job ends with `outcome`, after its `seconds`.

    With `act`, the job then does that, instead of `outcome`: it may call an address that is in its
    environment.
    """

    outcome: Callable[[MachineRecord], Exit] = lambda _: Exit(0)
    seconds: Callable[[MachineRecord], float] = lambda _: 0.0
    act: Callable[[MachineRecord], Awaitable[Exit]] | None = None
    jobs: list[MachineRecord] = field(default_factory=list)
    """Every job that was run, in order."""

    async def run(self, job: MachineRecord, _: object) -> Exit:
        self.jobs.append(job)
        seconds = self.seconds(job)
        if seconds == NEVER:
            await asyncio.Event().wait()
        await asyncio.sleep(seconds)
        return self.outcome(job) if self.act is None else await self.act(job)
