"""
Runs a Machine's command as a local process: an image stands for a folder.

The command runs in the image's folder, with nothing of this process's environment but PATH. The
Machine's files are written into a private folder, which is the root of their paths: `/tmp/x`
becomes `PRIVATE/tmp/x`. Where a variable or an argument is exactly such a path it is replaced by
the real one, so `EVENTS_PATH` leads to the file, and so does `[cat, /tmp/events.json]`. When the
command ends, whatever it has started is killed and the folder removed, as a Machine takes all
with it.

This is no sandbox: the command has the rights of whoever runs the server.
"""

import asyncio
import os
import posixpath
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final, cast

from lambdo_router.local.machines_server.record import Exit
from lambdo_router.local.machines_server.runners import Job, LineSink, Stream, killed_by
from lambdo_router.local.runtimes import HANDLER, handled_in

_LONGEST_LINE: Final = 16 * 1024
_STREAMS: Final[Mapping[int, Stream]] = {1: "stdout", 2: "stderr"}
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_LAST_WORDS: Final = 1.0
"""Seconds to go on reading what a process has written before it ended."""

_Say = Callable[[Stream, str], None]


@dataclass(slots=True)
class ProcessRunner:
    """
    Images as folders, Machines as processes.

    `images` maps image references to folders; any other image stands for `default_folder`, or, if
    that is None, does not exist. `commands` gives images their CMD; in the folder of any other with
    a function for one of the runtimes, that is called.
    """

    images: Mapping[str, Path] = field(default_factory=dict)
    default_folder: Path | None = None
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _running: dict[str, asyncio.SubprocessTransport] = field(default_factory=dict, repr=False)
    _early: dict[str, list[str]] = field(default_factory=dict, repr=False)
    """Signals for processes that are only being started."""

    def knows(self, image: str) -> bool:
        return image in self.images or self.default_folder is not None

    def signal(self, machine_id: str, name: str) -> None:
        process = self._running.get(machine_id)
        if process is None:
            self._early.setdefault(machine_id, []).append(name)
        elif process.get_returncode() is not None:
            return
        elif name == "SIGKILL":
            _kill_all(process.get_pid())
        else:
            process.send_signal(signal.Signals[name])

    async def run(self, job: Job, on_line: LineSink) -> Exit:
        def say(stream: Stream, line: str) -> None:
            on_line(job.machine_id, stream, line)

        folder = self.images.get(job.image, self.default_folder)
        if folder is None or not folder.is_dir():
            return _refused(say, f"image {job.image}: there is no folder {folder}", _NOT_FOUND)
        command = job.command if job.command is not None else self.commands.get(job.image, ())
        argv = (*job.entrypoint, *command)
        if not argv:
            handled = handled_in(folder, job.env)
            if handled is None:
                line = (
                    f"image {job.image} has no command here, and its folder no function for a "
                    f"runtime to call; give the profile a `command`, or {HANDLER} in its `env`"
                )
                return _refused(say, line, _NOT_FOUND)
            argv = handled.command
            job = replace(job, env={**job.env, HANDLER: handled.handler})
        private = Path(tempfile.mkdtemp(prefix=f"machine-{job.machine_id}-"))
        try:
            return await self._run_in(private, folder, argv, job, say)
        finally:
            self._early.pop(job.machine_id, None)
            shutil.rmtree(private, ignore_errors=True)

    async def _run_in(
        self, private: Path, folder: Path, argv: Sequence[str], job: Job, say: _Say
    ) -> Exit:
        loop = asyncio.get_running_loop()
        try:
            real_paths = _write_files(private, job)
            transport, output = await loop.subprocess_exec(
                lambda: _Output(loop, say),
                *(real_paths.get(argument, argument) for argument in argv),
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=_environment(private, real_paths, job),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            code = _NOT_EXECUTABLE if isinstance(error, PermissionError) else _NOT_FOUND
            return _refused(say, f"cannot run {argv[0]}: {error}", code)
        self._running[job.machine_id] = transport
        for name in self._early.pop(job.machine_id, ()):
            self.signal(job.machine_id, name)
        try:
            code = await asyncio.shield(output.exited)
        finally:
            del self._running[job.machine_id]
            _kill_all(transport.get_pid())
            # What is left in the pipes is still read, unless someone who got away holds them open.
            await asyncio.wait({output.exited})
            await asyncio.wait({output.closed}, timeout=_LAST_WORDS)
            transport.close()
        return Exit(code) if code >= 0 else killed_by(-code)


class _Output(asyncio.SubprocessProtocol):
    """Cuts a process's output into lines, and tells of its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, say: _Say) -> None:
        self.exited: asyncio.Future[int] = loop.create_future()
        """The exit code, negative for a signal."""
        self.closed: asyncio.Future[None] = loop.create_future()
        """All output was read."""
        self._say = say
        self._rest = {1: b"", 2: b""}
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, rest = (self._rest[fd] + data).split(b"\n")
        while len(rest) > _LONGEST_LINE:
            lines.append(rest[:_LONGEST_LINE])
            rest = rest[_LONGEST_LINE:]
        self._rest[fd] = rest
        for line in lines:
            self._line(fd, line)

    def pipe_connection_lost(self, fd: int, _: Exception | None) -> None:
        if rest := self._rest.get(fd):
            self._line(fd, rest)

    def process_exited(self) -> None:
        code = self._transport.get_returncode() if self._transport else None
        self.exited.set_result(code or 0)

    def connection_lost(self, _: Exception | None) -> None:
        self.closed.set_result(None)

    def _line(self, fd: int, line: bytes) -> None:
        self._say(_STREAMS[fd], line.removesuffix(b"\r").decode(errors="replace"))


def _write_files(private: Path, job: Job) -> dict[str, str]:
    """Write the Machine's files; their real paths by the paths that the Machine knows."""
    (private / "tmp").mkdir()
    real_paths = {}
    for file in job.files:
        # Resolved as if the private folder were the root, above which there is nothing.
        inside = PurePosixPath(posixpath.normpath(f"/{file.path.lstrip('/')}")).relative_to("/")
        real = private / inside
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(file.content)
        real.chmod(file.mode & 0o777)
        real_paths[file.path] = str(real)
    return real_paths


def _environment(private: Path, real_paths: Mapping[str, str], job: Job) -> dict[str, str]:
    # First the folder of this Python, so that `python` is there even without an active environment.
    here = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join((here, os.environ.get("PATH", os.defpath))),
        "HOME": str(private),
        "TMPDIR": str(private / "tmp"),
        **{name: real_paths.get(value, value) for name, value in job.env.items()},
    }


def _kill_all(process_group: int) -> None:
    # PermissionError is macOS's word for a group of which only a zombie is left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process_group, signal.SIGKILL)


def _refused(say: _Say, line: str, code: int) -> Exit:
    say("stderr", line)
    return Exit(code, error=line)
