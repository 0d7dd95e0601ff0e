"""
How long `lambdo-router validate` takes on large routes files: the CPU time of the whole process.

    python benchmarks/validate.py

The files are made for it: routes of several queues and profiles, with patterns of many kinds, an
event schema for one in ten and a profile of its own for one in five. Limits: 1 second on 1,000
routes and 5 seconds on 10,000, or the exit code is 1.
"""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LIMITS = {10: 1.0, 1_000: 1.0, 10_000: 5.0}
"""Seconds of CPU by number of routes."""

_HEAD = """\
version: 1
queues:
  rejected: {name: rejected}
"""
_PROFILES = """\
defaults: {app: acme-jobs, region: "iad,us,any", acknowledge: launch, env: {LOG_LEVEL: info}}
profiles:
  small: {image: "registry.fly.io/acme-jobs:1.4.0", command: [node, index.js]}
  large: {extends: small, size: performance-2x, memory: 8gb, batch_size: 50, batch_window: 2s}
routes:
"""
_MATCHES = (
    "{{attributes: {{kind: kind-{0}}}}}",
    "{{body: {{order: {{id: [{{prefix: id-{0}-}}]}}, paid: [true]}}}}",
    "{{attributes: {{tenant: [acme-{0}, beta-{0}]}}, body: {{size: [{{numeric: ['>', {0}]}}]}}}}",
    "{{body: {{Records: {{s3: {{bucket: {{name: [bucket-{0}]}}}}}}}}}}",
    "{{body: {{path: [{{suffix: .{0}.png}}], user: [{{exists: true}}]}}}}",
    "{{attributes: {{type: [{{anything-but: [x]}}]}}, body: {{ref: [refs/heads/{0}]}}}}",
)
_SCHEMA = '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}'


def routes_file(count: int) -> Iterator[str]:
    """The text of a routes file with so many routes, which has nothing wrong with it."""
    queues = max(1, count // 100)
    yield _HEAD
    for number in range(queues):
        yield f"  queue-{number}: {{name: queue-{number}, reject_to: rejected}}\n"
    yield _PROFILES
    for number in range(count):
        own = f"{{extends: small, env: {{ROUTE: route-{number}}}}}"
        yield f"  - name: route-{number}\n"
        yield f"    queue: queue-{number % queues}\n"
        yield f"    match: {_MATCHES[number % len(_MATCHES)].format(number)}\n"
        if number % 10 == 0:
            yield "    schema: order.schema.json\n"
        yield f"    profile: {own if number % 5 == 0 else ('small', 'large')[number % 2]}\n"


def cpu_seconds(file: Path) -> float:
    """What one run of `validate` takes, from the start of Python to the exit code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "lambdo_router", "validate", file.name]
    subprocess.run(command, cwd=file.parent, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Measure, print, and compare with the limits."""
    slow = 0
    print("routes    file      CPU     limit")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "routes.yaml")
        file.with_name("order.schema.json").write_text(_SCHEMA, "utf-8")
        for count, limit in LIMITS.items():
            file.write_text("".join(routes_file(count)), "utf-8")
            seconds = min(cpu_seconds(file) for _ in range(2))
            size = file.stat().st_size / 1024
            print(f"{count:6,} {size:6.0f} KiB {seconds:6.2f} s {limit:6.2f} s")
            slow += seconds > limit
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
