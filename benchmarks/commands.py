"""
What commands take from the start of Python to their exit code: --help, validate, explain.

    python benchmarks/commands.py [ROUNDS]

CPU seconds of the whole process, the median of rounds in which all commands take turns. Beside
them stands a Python that does nothing, and one that loads boto3, which most commands must not.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from measuring import Column, Table, Target, full_or_quick, in_turns, median, tell
from sample_routes import write_routes_file

ROUNDS = 3
ROUTES = full_or_quick((1, 1_000, 10_000), (1, 100, 1_000))
HELP_LIMIT = 0.25
VALIDATE_LIMITS = (1.0, 1.0, 5.0)
"""CPU seconds, by number of routes."""
_PROGRAM = (sys.executable, "-m", "lambdo_router")
_MESSAGE = ("--queue", "queue-0", "--attribute", "kind=kind-0", "--body", '{"id": "7"}')


def taken(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and seconds of one run."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, seconds


def main(rounds: int) -> int:
    """Measure, and compare with the limits."""
    with tempfile.TemporaryDirectory() as name:
        folders = {count: Path(name, str(count)) for count in ROUTES}
        for count, folder in folders.items():
            folder.mkdir()
            write_routes_file(folder, count)
        smallest, middle, largest = ROUTES
        ways = {
            "python, nothing": ((sys.executable, "-c", "pass"), smallest),
            "python, import boto3": ((sys.executable, "-c", "import boto3"), smallest),
            "--help": ((*_PROGRAM, "--help"), smallest),
            f"explain, {middle:,} routes": ((*_PROGRAM, "explain", *_MESSAGE), middle),
            **{f"validate, {count:,} routes": ((*_PROGRAM, "validate"), count) for count in ROUTES},
        }
        for command, count in ways.values():  # what is compiled and cached, is after it
            if count != largest:
                taken(command, folders[count])
        found = in_turns(
            {
                way: partial(taken, command, folders[count])
                for way, (command, count) in ways.items()
            },
            rounds,
        )
    cpu = {way: median([it for it, _ in each]) for way, each in found.items()}
    wall = {way: median([it for _, it in each]) for way, each in found.items()}
    nothing = cpu["python, nothing"]
    table = Table(
        "commands",
        "Commands, from the start of Python to the exit code",
        (Column("command"), Column("CPU s", ".2f"), Column("s", ".2f"), Column("x python", ".1f")),
        [(way, cpu[way], wall[way], cpu[way] / nothing) for way in ways],
        targets=targets(cpu),
    )
    return tell(table)


def targets(cpu: dict[str, float]) -> list[Target]:
    """Return the limits, each with what was found."""
    limits = {"--help": HELP_LIMIT}
    for count, limit in zip(ROUTES, VALIDATE_LIMITS, strict=True):
        limits[f"validate, {count:,} routes"] = limit
    return [
        Target(f"{way}: {cpu[way]:.2f} s of CPU, at most {limit:g}", cpu[way] <= limit)
        for way, limit in limits.items()
    ]


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else full_or_quick(ROUNDS, 1)))
