"""`dev`: the whole of it once as a process of its own, and what it says about wrong usage."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from building import profile, route, table
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.cli.dev import _unused
from lambdo_router.core.profile import Overrides

_ROUTES = """\
version: 1
queues:
  orders: {url: "${ORDERS_QUEUE_URL}"}
profiles:
  job: {image: "acme/job:1", command: [cat, /tmp/events.json, note], acknowledge: launch}
routes:
  - {name: orders, queue: orders, profile: job}
"""
_MORE = _ROUTES.replace("queues:", "queues:\n  images: {name: acme-images}") + (
    "  - {name: images, queue: images, profile: job}\n"
)


class _Dev:
    """A running `lambdo-router dev`, and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed: list[str] = []

    def until(self, *texts: str) -> list[str]:
        """Read on until each of these was in a line, in any order; those lines."""
        assert self.process.stdout is not None
        found: dict[str, str] = {}
        while missing := set(texts) - set(found):
            line = self.process.stdout.readline()
            if not line:
                pytest.fail(f"never printed: {missing}\n{''.join(self.printed)}")
            self.printed.append(line)
            found |= {text: line for text in missing if text in line}
        return [found[text] for text in texts]


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[_Dev]:
    with subprocess.Popen(
        [sys.executable, "-m", "lambdo_router", "dev", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    ) as process:
        patience = threading.Timer(30, process.kill)
        patience.start()
        try:
            yield _Dev(process)
        finally:
            patience.cancel()
            process.kill()


def lambdo(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_dev_from_the_first_message_to_ctrl_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    routes, job = tmp_path / "routes.yaml", tmp_path / "job"
    routes.write_text(_ROUTES)
    job.mkdir()
    (job / "note").write_text(" from the image's folder\n")
    messages = tmp_path / "messages"
    messages.mkdir()
    hostile = {
        "queue": "orders",
        "body_text": '{"text": "[red]\x1b[2J"}'.replace("\x1b", "\\u001b"),
    }
    (messages / "a.json").write_text(json.dumps(hostile))

    with running(tmp_path, "--image", "acme/job:1=job", "--messages", "messages") as dev:
        looked, pasted, *_ = dev.until("status  ", "try", "routes    loaded: 1 route, 1 queue")
        dev.until("received  orders", "routed    orders", "launched  orders", "deleted")
        dev.until(
            "output    orders", r'| [{"text": "[red]\u001b[2J"}] from the image', "code 0 after"
        )

        program, command, *rest = shlex.split(pasted.removeprefix("try"))
        assert (program, command, rest[0]) == ("lambdo-router", "send", "routes.yaml")
        sent = lambdo(command, *rest)
        assert (sent.exit_code, sent.stderr) == (0, "takes the route orders\n")
        dev.until(f"received  orders {sent.stdout[:8]}", '| [{"hello": "world"}] from the image')

        routes.write_text(_MORE)
        dev.until("routes    reloaded: 2 routes, 2 queues", "queue     images opened")
        endpoint = rest[rest.index("--endpoint-url") + 1]
        sent = lambdo("send", "--endpoint-url", endpoint, "--queue", "images", "--body", "[1]")
        assert sent.exit_code == 0
        dev.until("refused   images", "left on the queue as not_json")

        routes.write_text(_MORE.replace("routes:\n", "routs:\n"))
        dev.until(
            "not reloaded; the last valid routes stay in use",
            "routes.yaml:7:1: unknown key `routs`",
        )
        url = looked.split()[1].removesuffix("/status")
        status = lambdo("status", "--url", url)
        assert (status.exit_code, status.stderr) == (0, "")
        assert "reload" in status.stdout
        assert "routes.yaml:7:1: unknown key `routs`" in status.stdout

        dev.process.send_signal(signal.SIGINT)
        dev.until("stopping", "stopped")
        assert dev.process.wait(10) == 0
        assert dev.process.stderr is not None
        assert dev.process.stderr.read() == ""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(_ROUTES)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["gone.yaml"],
            "there is no file gone.yaml; name a routes file (lambdo-router dev FILE), or write one "
            "with lambdo-router init. `lambdo-router demo` runs an example",
            id="no-file",
        ),
        pytest.param(
            ["--image", "acme/job"],
            "--image 'acme/job' is not IMAGE=DIR; write it like registry.fly.io/acme-jobs:1=./jobs",
            id="no-folder",
        ),
        pytest.param(["--image", "ACME JOB=."], "is not IMAGE=DIR", id="no-image"),
        pytest.param(
            ["--image", "acme/job=gone"],
            "--image 'acme/job=gone': there is no folder gone",
            id="folder-not-there",
        ),
        pytest.param(["--messages", "gone"], "Directory 'gone' does not exist", id="no-messages"),
        pytest.param(["--sqs-port", "70000"], "70000 is not in the range 0<=x<=65535", id="port"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_exits_with_2_and_says_what_is_right(arguments: list[str], said: str) -> None:
    shown = lambdo("dev", *arguments)

    assert (shown.exit_code, shown.stdout) == (2, "")
    assert said in shown.stderr


@pytest.mark.parametrize(
    ("overrides", "unused"),
    [
        pytest.param(Overrides(), ["acme/jib"], id="typing-mistake"),
        pytest.param(Overrides(image=("docker.io/acme/*",)), [], id="senders-may-name-it"),
    ],
)
def test_an_image_that_no_profile_has_is_noticed(overrides: Overrides, unused: list[str]) -> None:
    jobs = table(route(profile=profile(image="acme/job"), overrides=overrides))

    assert _unused(["acme/job", "acme/jib"], jobs) == unused


def test_without_routes_yaml_it_says_how_to_start(folder: Path) -> None:
    (folder / "routes.yaml").unlink()

    shown = lambdo("dev")

    assert shown.exit_code == 2
    assert "there is no file routes.yaml here; name a routes file" in shown.stderr


def test_a_routes_file_with_errors_is_shown_and_not_started(folder: Path) -> None:
    (folder / "routes.yaml").write_text(_ROUTES.replace("queue: orders,", "queue: order,"))

    shown = lambdo("dev")

    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "routes.yaml:7:27: no queue is called `order`; did you mean `orders`?" in shown.stderr


def test_a_port_that_is_taken_is_said_without_a_traceback(folder: Path) -> None:
    (folder / "routes.yaml").write_text(_ROUTES)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        shown = lambdo("dev", "--machines-port", str(port))

    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr == (
        f"error: cannot listen on port {port} of this machine (Address already in use); choose "
        "another, or 0 for a free one\n"
    )


def test_message_files_are_checked_before_anything_starts(folder: Path) -> None:
    (folder / "m.json").write_text('{"queue": "orders"}')

    shown = lambdo("dev", "--messages", ".")

    assert (shown.exit_code, shown.stdout) == (1, "")
    assert "m.json: write either `body`, which is JSON, or `body_text`" in shown.stderr


def test_a_reader_who_goes_away_ends_dev(folder: Path) -> None:
    with running(folder) as dev:
        dev.until("stop")
        assert dev.process.stdout is not None
        dev.process.stdout.close()
        (folder / "routes.yaml").write_text(
            f"{_ROUTES}# one more line, should all be printed by now"
        )

        assert dev.process.wait(10) == 0
        assert dev.process.stderr is not None
        assert dev.process.stderr.read() == ""
