"""The runtimes as real processes: what one is given, and what comes of it."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

_RUNTIMES = Path(__file__).parents[2] / "runtimes"
_HANDLERS = Path(__file__).parents[1] / "runtime_handlers"
_PATIENCE = 30.0
"""Seconds; no run takes more than two."""

Answer = int | Literal["cut"]
"""The status of an answer to a report; or its connection is closed without one."""


@dataclass(frozen=True, slots=True)
class Language:
    """One of the runtimes, and the handlers of the tests in its language."""

    name: str
    interpreter: str
    runtime: Path
    handler: str
    """Does what each event says."""
    batch_handler: str

    @property
    def is_here(self) -> bool:
        return shutil.which(self.interpreter) is not None

    @property
    def command(self) -> tuple[str, str]:
        return self.interpreter, str(self.runtime)

    def hurried(self, folder: Path) -> "Language":
        """The same without a pause between two attempts at a report; written into this folder."""
        text = self.runtime.read_text()
        runtime = folder / self.runtime.name
        hurried, count = re.subn(r"(REPORT_PAUSES = .)[0-9., ]+", r"\g<1>0, 0, 0", text)
        assert count == 1
        runtime.write_text(hurried)
        return replace(self, runtime=runtime)

    def file(self, name: str) -> Path:
        return _HANDLERS / self.name / name


LANGUAGES = (
    Language("node", "node", _RUNTIMES / "node/runtime.mjs", "index.js", "batch.mjs"),
    Language("php", "php", _RUNTIMES / "php/runtime.php", "index.php", "batch.php"),
    Language("python", sys.executable, _RUNTIMES / "python/runtime.py", "main.py", "batch.py"),
)


@dataclass(frozen=True)
class Ended:
    """What a run left behind."""

    exit_code: int
    stdout: str
    stderr: str

    @cached_property
    def logged(self) -> tuple[dict[str, Any], ...]:
        """The runtime's lines of JSON; those on stdout before those on stderr."""
        lines = [*self.stdout.splitlines(), *self.stderr.splitlines()]
        return tuple(json.loads(line) for line in lines if line.startswith('{"time"'))

    @property
    def printed(self) -> list[str]:
        """What the handler printed."""
        return [line for line in self.stdout.splitlines() if not line.startswith('{"time"')]

    @property
    def outcomes(self) -> dict[int, str]:
        """Of each event; an event that has more than one line or none is a mistake."""
        lines = [line for line in self.logged if "outcome" in line]
        assert len({line["index"] for line in lines}) == len(lines)
        return {line["index"]: line["outcome"] for line in sorted(lines, key=_index)}

    def error(self, index: int) -> str:
        """What is said of an event that failed."""
        [line] = [it for it in self.logged if it.get("index") == index]
        assert line["level"] == "error"
        return str(line["error"])

    @property
    def errors(self) -> list[str]:
        """What is wrong with no single event."""
        at_large = [it for it in self.logged if it["level"] == "error" and "index" not in it]
        return [it["message"] for it in at_large if it["message"] != "batch ended"]


def _index(line: dict[str, Any]) -> int:
    return int(line["index"])


def message_id(index: int) -> str:
    return f"message-{index}"


def messages_of(events: Sequence[object]) -> list[dict[str, object]]:
    """What a batch file says of these events."""
    return [
        {
            "message_id": message_id(index),
            "receive_count": index + 1,
            "sent_at": 1700000000.5,
            "attributes": {},
            "system": {"SenderId": "AROA"},
        }
        for index in range(len(events))
    ]


@dataclass(frozen=True, slots=True)
class Batch:
    """The files and the environment of a run, in a folder of its own."""

    language: Language
    folder: Path
    events: Sequence[object] | str
    """Or the text of the events file."""
    messages: Sequence[object] | str | None = "as the events"
    """Of the batch file; None: there is no such file."""
    handler: Path | None = None
    """None: the one of the language that does what each event says."""
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[str]:
        """Start the runtime; `ended` waits for its end."""
        return subprocess.Popen(
            self.language.command,
            cwd=self.folder,
            env=self._environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self) -> Ended:
        return ended(self.start())

    def _environment(self) -> dict[str, str]:
        events_path, batch_path = self.folder / "events.json", self.folder / "batch.json"
        events = self.events if isinstance(self.events, str) else json.dumps(self.events)
        events_path.write_text(events)
        messages = self.messages
        if messages == "as the events":
            messages = messages_of(json.loads(events))
        if messages is not None:
            batch = {"batch_id": "b1", "route": "orders", "queue": "q", "messages": messages}
            batch_path.write_text(messages if isinstance(messages, str) else json.dumps(batch))
        handler = self.handler or self.language.file(self.language.handler)
        return {
            "PATH": os.environ["PATH"],
            "EVENTS_PATH": str(events_path),
            "LAMBDO_BATCH_PATH": str(batch_path),
            "LAMBDO_HANDLER": str(handler),
            # What the caller of the tests has installed is none of the handler's business.
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.env,
        }


def ended(process: subprocess.Popen[str], already_read: str = "") -> Ended:
    """Wait for the end of a run."""
    try:
        stdout, stderr = process.communicate(timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        raise AssertionError(f"it does not end; so far:\n{stdout}\n{stderr}") from None
    return Ended(process.returncode, already_read + stdout, stderr)


@dataclass(slots=True)
class Router:
    """Takes reports, and answers them one after the other as it is told; the last for ever."""

    url: str
    answers: list[Answer]
    reports: list[dict[str, Any]] = field(default_factory=list)
    """The bodies; that the requests are right is checked at once."""

    @property
    def env(self) -> dict[str, str]:
        return {"LAMBDO_REPORT_URL": self.url, "LAMBDO_REPORT_TOKEN": "t0ken"}

    @property
    def failed(self) -> list[list[str]]:
        """The message ids in each report."""
        return [
            [item["itemIdentifier"] for item in report["batchItemFailures"]]
            for report in self.reports
        ]


@contextmanager
def router(*answers: Answer, host: str = "127.0.0.1") -> Iterator[Router]:
    """A server for reports, for as long as the block runs."""
    told: Router

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            right = (
                self.path == "/reports/b1"
                and self.headers["authorization"] == "Bearer t0ken"
                and self.headers["content-type"] == "application/json"
            )
            told.reports.append(json.loads(body))
            answer = told.answers.pop(0) if len(told.answers) > 1 else told.answers[0]
            if answer == "cut":
                self.close_connection = True
                return
            self.send_response(answer if right else 400)
            if answer in (302, 307):
                self.send_header("location", told.url)
            self.send_header("content-length", "11")
            self.end_headers()
            self.wfile.write(b'{"failed":1')

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = _family(host)

    with Server((host, 0), Handler) as server:
        address = f"[{host}]" if ":" in host else host
        told = Router(f"http://{address}:{server.server_port}/reports/b1", list(answers))
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
