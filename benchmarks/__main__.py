"""
All benchmarks, one after the other, and one report of their tables.

    python benchmarks [NAME ...]

Each script is a process of its own. The report is benchmarks/results/latest.md and latest.json.
The exit code is 1 if a script failed or missed a target; the report is written all the same.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measuring import QUICK, RESULTS, full_or_quick, machine

FOLDER = Path(__file__).resolve().parent
ROOMS = frozenset({"__main__", "measuring", "real_router", "sample_routes", "virtual"})
"""What scripts share."""
LAST = ("limit", "costs", "latency", "memory", "drain")
"""The long ones."""
ARGUMENTS: dict[str, list[str]] = full_or_quick(
    {"metrics": ["3"], "page": ["3"]},
    {"metrics": ["1"], "page": ["1"], "logs_and_traces": ["500"]},
)
"""Of those that would take longer by themselves."""
SCRIPTS = (
    *sorted({file.stem for file in FOLDER.glob("*.py")} - ROOMS - set(LAST)),
    *LAST,
)


def main(names: list[str]) -> int:
    """Run, and write the report."""
    unknown = sorted(set(names) - set(SCRIPTS))
    if unknown:
        print(f"no benchmark is called {unknown[0]}; there are: {', '.join(SCRIPTS)}")
        return 2
    begun = machine()
    tables: list[dict[str, Any]] = []
    runs = []
    for name in names or SCRIPTS:
        print(f"## {name}", end="\n\n", flush=True)
        seconds, exit_code, told = run(name)
        tables += told
        runs.append({"script": name, "seconds": round(seconds, 1), "exit_code": exit_code})
    report = {"quick": QUICK, "machine": begun, "runs": runs, "tables": tables}
    text = markdown(report)
    results = FOLDER / "results"
    results.mkdir(exist_ok=True)
    (results / "latest.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (results / "latest.md").write_text(text, "utf-8")
    print(summary(report), f"Written: {results / 'latest.md'} and latest.json", sep="\n\n")
    return int(any(it["exit_code"] for it in runs))


def run(name: str) -> tuple[float, int, list[dict[str, Any]]]:
    """How long a script took, its exit code, and its tables; or else what it has printed."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-u", str(FOLDER / f"{name}.py"), *ARGUMENTS.get(name, ())],
            env=os.environ | {RESULTS: folder},
            stdout=subprocess.PIPE,
            text=True,
        )
        printed = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            printed.append(line)
        exit_code = process.wait()
        files = sorted(Path(folder).glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
        tables = [json.loads(file.read_text("utf-8")) for file in files]
    if not tables:
        text = f"### {name}.py\n\n```text\n{''.join(printed).rstrip()}\n```"
        tables = [{"name": name, "title": name, "text": printed, "targets": [], "markdown": text}]
    print(flush=True)
    return time.perf_counter() - began, exit_code, tables


def markdown(report: dict[str, Any]) -> str:
    """Return the whole report."""
    parts = [
        "# Benchmarks",
        _described(report["machine"], quick=report["quick"]),
        *(table["markdown"] for table in report["tables"]),
        "## Summary",
        summary(report),
    ]
    return "\n\n".join(parts) + "\n"


def summary(report: dict[str, Any]) -> str:
    """One line for each target, and one for each script."""
    targets = [
        f"| {table['title']} | {target['text']} | {'met' if target['met'] else '**missed**'} |"
        for table in report["tables"]
        for target in table["targets"]
    ]
    runs = [
        f"| {it['script']} | {it['seconds']:.0f} s | {_ended(it['exit_code'])} |"
        for it in report["runs"]
    ]
    parts = []
    if targets:
        parts.append("\n".join(["| case | target | |", "| --- | --- | --- |", *targets]))
    parts.append("\n".join(["| script | took | |", "| --- | ---: | --- |", *runs]))
    return "\n\n".join(parts)


def _ended(exit_code: int) -> str:
    return "" if exit_code == 0 else f"exit code {exit_code}"


def _described(machine: dict[str, Any], *, quick: bool) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    text = (
        f"Measured on {machine['date']} with lambdo-router {machine['lambdo-router']} by "
        f"`make bench`: {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gb']} GB, {machine['system']}, {machine['python']}; {libraries}. "
        f"Load at the start: {', '.join(map(str, machine['load']))}."
    )
    return f"{text}\n\n**A smoke run: these figures mean nothing.**" if quick else text


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
