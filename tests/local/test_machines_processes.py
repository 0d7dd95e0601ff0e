import asyncio
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lambdo_router.local.machines_server import (
    AT_ONCE,
    Access,
    Exit,
    MachinesServer,
    ProcessRunner,
)
from lambdo_router.local.machines_server.create import CreateRequest
from lambdo_router.local.machines_server.machine import MachineRecord

IMAGE = "registry.fly.io/jobs:one"


@dataclass
class Output:
    lines: list[tuple[str, str]] = field(default_factory=list)
    first: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, machine_id: str, stream: str, line: str) -> None:
        assert machine_id == "3d8d7000c52d78"
        self.lines.append((stream, line))
        self.first.set()


def machine(*command: str, **config: object) -> MachineRecord:
    guest = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}
    init = {"cmd": list(command)} if command else {}
    return MachineRecord(
        id="3d8d7000c52d78",
        app="jobs",
        name="job-1",
        region="iad",
        version="01",
        private_ip="fdaa::2",
        created_at=0.0,
        updated_at=0.0,
        config={"image": IMAGE, "guest": guest, "init": init, **config},
    )


def test_a_machine_has_the_configs_environment_and_flys_own() -> None:
    assert machine(env={"A": "1", "FLY_REGION": "mine"}).env == {
        "A": "1",
        "FLY_APP_NAME": "jobs",
        "FLY_MACHINE_ID": "3d8d7000c52d78",
        "FLY_ALLOC_ID": "3d8d7000c52d78",
        "FLY_MACHINE_VERSION": "01",
        "FLY_REGION": "iad",
        "FLY_PRIVATE_IP": "fdaa::2",
        "FLY_IMAGE_REF": IMAGE,
        "FLY_VM_MEMORY_MB": "256",
    }


# Real processes.

SCRIPT = """
import json, os, pathlib, sys
events = json.loads(pathlib.Path(os.environ["EVENTS_PATH"]).read_text())
print("events", events, sys.argv[1] == os.environ["EVENTS_PATH"])
print("path", os.environ["EVENTS_PATH"] == os.environ["TMPDIR"] + "/events.json")
print("here", pathlib.Path("here.txt").read_text())
print("mode", oct(os.stat(os.environ["OTHER"]).st_mode & 0o777))
names = set(os.environ) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"}
print("names", *sorted(name for name in names if not name.startswith("FLY_")))
print("no line break at the end", end="", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.real_time
async def test_a_command_runs_with_its_files_and_environment_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLY_API_TOKEN", "planted")
    image, private, output = tmp_path / "image", tmp_path / "private", Output()
    image.mkdir()
    private.mkdir()
    (image / "here.txt").write_text("in the image's folder")
    monkeypatch.setattr("tempfile.tempdir", str(private))
    end = await ProcessRunner(tmp_path, {IMAGE: image}).run(
        machine(
            *("python", "-c", SCRIPT, "/tmp/events.json"),
            env={"EVENTS_PATH": "/tmp/events.json", "OTHER": "/../../etc/other"},
            files=[
                {"guest_path": "/tmp/events.json", "raw_value": "WzEsIDJd"},
                {"guest_path": "/../../etc/other", "raw_value": "", "mode": 0o600},
            ],
        ),
        output,
    )

    assert sorted(output.lines) == [
        ("stderr", "no line break at the end"),
        ("stdout", "events [1, 2] True"),
        ("stdout", "here in the image's folder"),
        ("stdout", "mode 0o600"),
        ("stdout", "names EVENTS_PATH HOME OTHER PATH TMPDIR"),
        ("stdout", "path True"),
    ]
    assert end == Exit(7)
    assert names_in(private) == []


@pytest.mark.real_time
async def test_an_entrypoint_comes_before_the_command(tmp_path: Path) -> None:
    output = Output()
    runner = ProcessRunner(tmp_path)
    end = await runner.run(
        machine(init={"entrypoint": ["python"], "cmd": ["-c", "print('own')"]}), output
    )

    assert (output.lines, end) == ([("stdout", "own")], Exit(0))


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("command", "code", "line"),
    [
        pytest.param(
            ("no-such-program",),
            127,
            "cannot run no-such-program: [Errno 2] No such file or directory: 'no-such-program'",
            id="no-program",
        ),
        pytest.param(
            ("./here.txt",),
            126,
            "cannot run ./here.txt: [Errno 13] Permission denied: './here.txt'",
            id="not-executable",
        ),
        pytest.param(("a\0b",), 127, "cannot run a\0b: embedded null byte", id="impossible"),
        pytest.param(
            (),
            127,
            f"image {IMAGE} has no command here, and its folder no function for a runtime to call; "
            "give the profile a `command`, or LAMBDO_HANDLER in its `env`",
            id="no-command",
        ),
    ],
)
async def test_a_command_that_cannot_run_ends_with_a_line_that_says_why(
    command: tuple[str, ...], code: int, line: str, tmp_path: Path
) -> None:
    (tmp_path / "here.txt").write_text("")
    output = Output()
    end = await ProcessRunner(tmp_path).run(machine(*command), output)

    assert output.lines == [("stderr", line)]
    assert end == Exit(code, error=line)


@pytest.mark.real_time
async def test_an_image_whose_folder_is_gone_cannot_run(tmp_path: Path) -> None:
    runner, output = ProcessRunner(tmp_path / "gone"), Output()
    end = await runner.run(machine("true"), output)

    assert output.lines == [("stderr", f"image {IMAGE}: there is no folder {tmp_path / 'gone'}")]
    assert end.code == 127


@pytest.mark.real_time
async def test_a_cancelled_command_takes_its_children_along(tmp_path: Path) -> None:
    script = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
    runner, output = ProcessRunner(tmp_path), Output()
    running = asyncio.create_task(runner.run(machine("python", "-c", script), output))
    await output.first.wait()
    running.cancel()
    await asyncio.wait({running})

    assert running.cancelled()
    assert is_gone(int(output.lines[0][1]))


@pytest.mark.real_time
async def test_a_command_that_is_cancelled_while_it_starts_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    runner = ProcessRunner(tmp_path)
    running = asyncio.create_task(runner.run(machine("sleep", "600"), Output()))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})

    assert running.cancelled()
    assert names_in(tmp_path) == []


@pytest.mark.real_time
async def test_a_command_that_ends_by_a_signal_has_its_number(tmp_path: Path) -> None:
    runner = ProcessRunner(tmp_path)

    assert await runner.run(machine("sh", "-c", "kill -TERM $$"), Output()) == Exit(143, signal=15)


@pytest.mark.real_time
async def test_long_lines_are_cut_and_odd_bytes_replaced(tmp_path: Path) -> None:
    script = r"import sys; sys.stdout.buffer.write(b'a\r\n\xff\n\n' + b'x' * 40000)"
    output = Output()
    await ProcessRunner(tmp_path).run(machine(sys.executable, "-c", script), output)
    lines = [line for _, line in output.lines]

    assert lines[:3] == ["a", "\N{REPLACEMENT CHARACTER}", ""]
    assert "".join(lines[3:]) == "x" * 40000
    assert max(map(len, lines)) == 16 * 1024


@pytest.mark.real_time
async def test_when_the_server_ends_nothing_of_its_machines_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = MachinesServer(
        ProcessRunner(tmp_path),
        Access({}),
        AT_ONCE,
        on_line=lambda _, __, line: said.set_result(line),
    )
    script = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    guest = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256}
    config = {"image": IMAGE, "guest": guest, "init": {"cmd": ["python", "-c", script]}}
    async with server.running():
        server.create("jobs", CreateRequest("job-1", "", config))
        pid = int(await said)
        assert len(names_in(tmp_path)) == 1

    assert is_gone(pid)
    assert names_in(tmp_path) == []


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has collected yet has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] in "ZX"
