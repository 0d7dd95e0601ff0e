"""
Builds the base image of each runtime, and on it the image of its sample project, and runs that.

The sample's own Dockerfile is built as a user would, only on the base that was just made. The
batch is two events of the sample's events.json, in files that root owns, as on Fly.
"""

import json
import time
from pathlib import Path

from images.containers import Container
from images.engine import Engine
from images.findings import Findings, say

_RUNTIMES = Path(__file__).parents[3] / "runtimes"
_FAILING = {
    "node": ("index.js", 'exports.handler = () => { throw new Error("no") };'),
    "php": ("index.php", '<?php return fn($event, $context) => throw new Exception("no");'),
    "python": ("main.py", "def handler(event, context):\n    raise ValueError('no')\n"),
}
"""A handler for each, that fails on every event."""


def try_runtimes(engine: Engine, base: str, findings: Findings) -> None:
    """Build and run all of them."""
    for language, (file, failing) in _FAILING.items():
        say(f"runtime {language}")
        runtime, sample = f"localhost/lambdo-{language}", f"localhost/lambdo-{language}-sample"
        folder = _RUNTIMES / language
        engine.build(folder, runtime, base=base)
        config = engine.build(folder / "sample-project", sample, base=runtime)
        container = Container(engine.unpack(sample), config)
        events = (folder / "sample-project" / "events.json").read_text()
        container.put("/tmp/events.json", events)
        began = time.monotonic()
        ran = container.run()
        findings.figure(f"runtime {language}, start to end", f"{time.monotonic() - began:.2f} s")
        findings.claim("it runs as a user by number, not root", config.user, "10001:10001")
        findings.claim("SIGTERM stops it", config.stop_signal, "SIGTERM")
        findings.claim("the sample handles its events", (ran.returncode, ran.stderr), (0, ""))
        expected = ["done"] * len(json.loads(events))
        findings.claim("with a line of JSON for each", _outcomes(ran.stdout), expected)
        container.put(f"/app/{file}", failing)
        ran = container.run()
        findings.claim("a handler that throws fails the batch", ran.returncode, 1)


def _outcomes(output: str) -> list[str]:
    """What the runtime logged of each event, among the lines that a handler prints."""
    lines = (json.loads(line) for line in output.splitlines() if line.startswith("{"))
    return [line["outcome"] for line in lines if "outcome" in line]
