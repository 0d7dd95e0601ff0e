"""
The room for measuring: rounds, medians, CPU of a process, the machine, and tables.

A wall clock tells of the machine and of what else runs on it. So what counts is taken as a ratio
of two things that were measured in turns within one run, or as CPU time, which neighbours disturb
less. Every script of this folder runs by itself and takes small arguments; `QUICK=1` makes it a
smoke run whose figures mean nothing.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")

QUICK = os.environ.get("QUICK", "") not in ("", "0")
"""Whether it is only to be seen that everything runs."""
RESULTS = "LAMBDO_BENCHMARK_RESULTS"
"""Names the folder in which `python benchmarks` finds the tables of each script."""
_LIBRARIES = ("boto3", "httpx", "jsonschema-rs", "prometheus-client", "structlog", "uvicorn")


def full_or_quick(full: _T, quick: _T) -> _T:
    """Return what an ordinary run takes, or what a smoke run does."""
    return quick if QUICK else full


# Time


def cpu_seconds_of(process: int) -> float:
    """CPU seconds that a process has taken so far, all its threads together (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_of(process: int) -> dict[str, float]:
    """VmRSS, and VmHWM, the most there was, in MB (Linux)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM")}


@dataclass(slots=True)
class Spent:
    """What a block took of this process, in seconds."""

    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def spent() -> Iterator[Spent]:
    """Measure a block; the result is complete at its end."""
    found = Spent()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield found
    finally:
        found.wall, found.cpu = time.perf_counter() - wall, time.process_time() - cpu


def least_cpu(work: Callable[[], object], rounds: int) -> float:
    """CPU seconds of the quickest of some rounds: for short work that nothing else is part of."""
    found = []
    for _ in range(rounds):
        with spent() as taken:
            work()
        found.append(taken.cpu)
    return min(found)


def in_turns(ways: dict[str, Callable[[], _T]], rounds: int) -> dict[str, list[_T]]:
    """Return what each way gave in each round; every round begins with another way."""
    found: dict[str, list[_T]] = {name: [] for name in ways}
    names = list(ways)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(ways[name]())
    return found


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


median = statistics.median


# Tables


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    form: str = ""
    """How its numbers are written, as in an f-string; empty: as they are."""

    def cell(self, value: object) -> str:
        """Return a value as it stands in the table; nothing for None."""
        if value is None:
            return ""
        return format(value, self.form) if isinstance(value, int | float) else str(value)


@dataclass(frozen=True, slots=True)
class Target:
    """What should be, and whether it is."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What a script has measured."""

    name: str
    """Key in the JSON file."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[object]]
    note: str = ""
    """What a reader must know to make sense of the figures."""
    targets: Sequence[Target] = field(default=())

    def markdown(self) -> str:
        """Return a heading, the table, the note and the targets."""
        heads = [column.title for column in self.columns]
        rules = ["---" if column.form == "" else "---:" for column in self.columns]
        cells = [[c.cell(v) for c, v in zip(self.columns, row, strict=True)] for row in self.rows]
        lines = ["| " + " | ".join(row) + " |" for row in (heads, rules, *cells)]
        told = [f"- {'met' if it.met else '**missed**'}: {it.text}" for it in self.targets]
        parts = (f"### {self.title}", "\n".join(lines), self.note, "\n".join(told))
        return "\n\n".join(part for part in parts if part)

    def as_json(self) -> dict[str, Any]:
        """Numbers as they were measured."""
        heads = [column.title for column in self.columns]
        return {
            "name": self.name,
            "title": self.title,
            "rows": [dict(zip(heads, row, strict=True)) for row in self.rows],
            "note": self.note,
            "targets": [{"text": it.text, "met": it.met} for it in self.targets],
        }


def tell(*tables: Table) -> int:
    """Print the tables and hand them to the suite, if one runs; 1 if a target was missed."""
    folder = os.environ.get(RESULTS)
    # The figures of a smoke run mean nothing, so neither do targets.
    told = [replace(table, targets=()) if QUICK else table for table in tables]
    for table in told:
        print(table.markdown(), end="\n\n", flush=True)
        if folder is not None:
            content = table.as_json() | {"markdown": table.markdown()}
            Path(folder, f"{table.name}.json").write_text(json.dumps(content), "utf-8")
    return int(not all(it.met for table in told for it in table.targets))


# The machine


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": _first("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "memory_gb": round(int((_first("/proc/meminfo", "MemTotal") or "0").split()[0]) / 1e6, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": [round(it, 2) for it in os.getloadavg()],
        "lambdo-router": version("lambdo-router"),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _first(path: str, key: str) -> str | None:
    """Return the value of the first line `key: value` of a file of /proc; None if there is none."""
    file = Path(path)
    for line in file.read_text().splitlines() if file.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
