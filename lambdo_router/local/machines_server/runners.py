"""
What runs inside a simulated Machine: the seam, and a runner that only pretends.

A runner gets a job, which is a Machine's config boiled down to what a computer needs to run it, and
says how it ended. `processes.ProcessRunner` starts local processes; `ScriptedRunner` does whatever
a scenario says, which is what tests with thousands of Machines need:

    ScriptedRunner(
        outcome=by_route({"faulty": Exit(1), "greedy": OUT_OF_MEMORY}, Exit(0)),
        seconds=by_route({"stuck": NEVER}, 2.0),
    )
"""

import asyncio
import math
import random
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeVar

from lambdo_router.local.machines_server.record import Exit, MachineRecord

Stream = Literal["stdout", "stderr"]
LineSink = Callable[[str, Stream, str], None]
"""Called with the Machine's id, the stream and one line of output, without its line break."""
NEVER: Final = math.inf
"""The seconds of a job that is stuck: it ends by a signal alone."""
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file that the Machine finds at this absolute path."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Job:
    """What a Machine is to run, and with what."""

    machine_id: str
    app: str
    region: str
    image: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...] | None
    """None: the image's own CMD."""
    env: dict[str, str]
    """The config's, and the FLY_ variables that every Machine has."""
    files: tuple[GuestFile, ...]
    name: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The Machine's, as it was when the job began."""

    def read(self, path: str) -> bytes:
        """The content of the file with this path inside the Machine; KeyError if there is none."""
        return {file.path: file.content for file in self.files}[path]


class Runner(Protocol):
    """Runs jobs. Cancelling `run` ends the job at once and leaves nothing behind."""

    def knows(self, image: str) -> bool:
        """Whether there is such an image; a create with any other is refused."""
        ...

    async def run(self, job: Job, on_line: LineSink) -> Exit:
        """Run the job to its end."""
        ...

    def signal(self, machine_id: str, name: str) -> None:
        """Send a signal such as `SIGTERM` to a job that runs or is about to."""
        ...


@dataclass(slots=True)
class ScriptedRunner:
    """
    Runs nothing: every job ends as `outcome` says, after the seconds that `seconds` says.

    With `act`, the job then does that, instead of `outcome`: it may call whoever is named in its
    environment. A signal ends a job at once, in the middle of whatever it does.
    """

    outcome: Callable[[Job], Exit] = lambda _: Exit(0)
    seconds: Callable[[Job], float] = lambda _: 0.0
    act: Callable[[Job], Awaitable[Exit]] | None = None
    images: Collection[str] | None = None
    """The images that exist; None: all."""
    jobs: list[Job] = field(default_factory=list)
    """Every job that was run, in order; a restart counts again."""
    _signalled: dict[str, asyncio.Future[Exit]] = field(default_factory=dict, repr=False)

    def knows(self, image: str) -> bool:
        return self.images is None or image in self.images

    async def run(self, job: Job, on_line: LineSink) -> Exit:  # noqa: ARG002 - it has no output
        self.jobs.append(job)
        killed = self._killed(job.machine_id)
        work = asyncio.ensure_future(self._work(job))
        try:
            await asyncio.wait((work, killed), return_when=asyncio.FIRST_COMPLETED)
            return killed.result() if killed.done() else work.result()
        finally:
            del self._signalled[job.machine_id]
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def signal(self, machine_id: str, name: str) -> None:
        killed = self._killed(machine_id)
        if not killed.done():
            killed.set_result(killed_by(signal.Signals[name]))

    async def _work(self, job: Job) -> Exit:
        seconds = self.seconds(job)
        if seconds == NEVER:
            await asyncio.Event().wait()
        if seconds > 0:
            await asyncio.sleep(seconds)
        return self.outcome(job) if self.act is None else await self.act(job)

    def _killed(self, machine_id: str) -> asyncio.Future[Exit]:
        new: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        return self._signalled.setdefault(machine_id, new)


class HasMetadata(Protocol):
    """A Job, or the record of a Machine."""

    @property
    def metadata(self) -> Mapping[str, str]: ...


def by_route(values: Mapping[str, _Value], default: _Value) -> Callable[[HasMetadata], _Value]:
    """A scenario: the value of a Machine's route, for what a runner or `Mishaps` asks of each."""
    return lambda machine: values.get(machine.metadata.get("lambdo_route", ""), default)


@dataclass(frozen=True, slots=True)
class SeededSeconds:
    """
    How long jobs take, drawn for each Machine from the seed: half of them less than `median`, a
    few far longer, none more than `most`.
    """

    median: float
    most: float
    spread: float = 0.5
    """Of the logarithm: two thirds lie between the median divided and multiplied by e to this."""
    seed: int = 0

    def __call__(self, job: Job) -> float:
        dice = random.Random(f"{self.seed}/{job.machine_id}")  # noqa: S311 - repeatable, no secret
        return min(self.most, dice.lognormvariate(math.log(self.median), self.spread))


def killed_by(number: int) -> Exit:
    """The end that a signal brings."""
    return Exit(128 + number, signal=number)


def job_of(record: MachineRecord) -> Job:
    """
    A Machine's config as a job.

    `init.exec` replaces ENTRYPOINT and CMD, `init.entrypoint` and `init.cmd` one of them each. A
    single entry of `processes`, which the original Lambdo used, stands for `init` and `env`.
    """
    config = record.config
    init: dict[str, Any] = dict(config.get("init") or {})
    env: dict[str, str] = dict(config.get("env") or {})
    for process in (config.get("processes") or ())[:1]:
        init |= {key: value for key, value in process.items() if value}
        env |= process.get("env") or {}
    files = record.files
    modes = {file["guest_path"]: file.get("mode") for file in config.get("files") or ()}
    command = init.get("exec") or init.get("cmd") or None
    return Job(
        machine_id=record.id,
        app=record.app,
        region=record.region,
        image=record.image,
        entrypoint=() if init.get("exec") else tuple(init.get("entrypoint") or ()),
        command=None if command is None else tuple(command),
        env=env | _fly_variables(record),
        files=tuple(
            GuestFile(path, content, modes.get(path) or 0o644) for path, content in files.items()
        ),
        name=record.name,
        metadata=record.metadata,
    )


def _fly_variables(record: MachineRecord) -> dict[str, str]:
    return {
        "FLY_APP_NAME": record.app,
        "FLY_MACHINE_ID": record.id,
        "FLY_ALLOC_ID": record.id,
        "FLY_MACHINE_VERSION": record.version,
        "FLY_REGION": record.region,
        "FLY_PRIVATE_IP": record.private_ip,
        "FLY_IMAGE_REF": record.image,
        "FLY_VM_MEMORY_MB": str(record.config["guest"]["memory_mb"]),
    }
