"""
Runs a Machine's command as a local process: an image stands for a folder.

The command runs in the image's folder, with nothing of this process's environment but PATH. The
Machine's files are written into a private folder, which is the root of their paths: `/tmp/x`
becomes `PRIVATE/tmp/x`. A variable or an argument that is exactly such a path is replaced by the
real one, so `EVENTS_PATH` leads to the file, and so does `[cat, /tmp/events.json]`. When the
command ends, everything it has started is killed and the folder removed, as with a Machine.

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
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final, Literal, cast

from lambdo_router.local.machines_server.machine import Exit, MachineRecord
from lambdo_router.local.runtimes import HANDLER, handled_in

Stream = Literal["stdout", "stderr"]
LineSink = Callable[[str, Stream, str], None]
"""Called with the Machine's id, the stream and one line of output, without its line break."""
_Print = Callable[[Stream, str], None]
_STREAMS: Final[Mapping[int, Stream]] = {1: "stdout", 2: "stderr"}
_LONGEST_LINE: Final = 16 * 1024
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_PIPES_TIMEOUT: Final = 1.0
"""Seconds to go on reading what a process has written before it ended."""


@dataclass(frozen=True, slots=True)
class ProcessRunner:
    """
    Images as folders, Machines as processes.

    `images` maps image references to folders; any other image stands for `default_folder`. A
    Machine without a command runs its folder's function for one of the runtimes.
    """

    default_folder: Path
    images: Mapping[str, Path] = field(default_factory=dict)

    async def run(self, machine: MachineRecord, on_line: LineSink) -> Exit:
        def put(stream: Stream, line: str) -> None:
            on_line(machine.id, stream, line)

        image, env = machine.image, machine.env
        folder = self.images.get(image, self.default_folder)
        if not folder.is_dir():
            return _refused(put, f"image {image}: there is no folder {folder}", _NOT_FOUND)
        init = machine.config.get("init") or {}
        argv = (*(init.get("entrypoint") or ()), *(init.get("cmd") or ()))
        if not argv:
            handled = handled_in(folder, env)
            if handled is None:
                line = (
                    f"image {image} has no command here, and its folder no function for a "
                    f"runtime to call; give the profile a `command`, or {HANDLER} in its `env`"
                )
                return _refused(put, line, _NOT_FOUND)
            argv, env = handled.command, {**env, HANDLER: handled.handler}
        private = Path(tempfile.mkdtemp(prefix=f"machine-{machine.id}-"))
        try:
            real_paths = _write_files(private, machine)
            argv = tuple(real_paths.get(argument, argument) for argument in argv)
            return await _run(argv, folder, _environment(private, real_paths, env), put)
        except (OSError, ValueError) as error:
            code = _NOT_EXECUTABLE if isinstance(error, PermissionError) else _NOT_FOUND
            return _refused(put, f"cannot run {argv[0]}: {error}", code)
        finally:
            shutil.rmtree(private, ignore_errors=True)


async def _run(argv: Sequence[str], folder: Path, env: Mapping[str, str], put: _Print) -> Exit:
    loop = asyncio.get_running_loop()
    transport, output = await loop.subprocess_exec(
        lambda: _Output(loop, put),
        *argv,
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=env,
        start_new_session=True,
    )
    try:
        code = await asyncio.shield(output.exited)
    finally:
        # PermissionError is what macOS raises for a group of which only a zombie is left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        # What is left in the pipes is still read, unless an escaped child holds them open.
        await asyncio.wait({output.exited})
        await asyncio.wait({output.closed}, timeout=_PIPES_TIMEOUT)
        transport.close()
    return Exit(code) if code >= 0 else Exit(128 - code, signal=-code)


class _Output(asyncio.SubprocessProtocol):
    """Cuts a process's output into lines, and reports its end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, put: _Print) -> None:
        self.exited: asyncio.Future[int] = loop.create_future()
        """The exit code, negative for a signal."""
        self.closed: asyncio.Future[None] = loop.create_future()
        """Set once all output was read."""
        self._put = put
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
        self._put(_STREAMS[fd], line.removesuffix(b"\r").decode(errors="replace"))


def _write_files(private: Path, machine: MachineRecord) -> dict[str, str]:
    """Write the Machine's files; return their real paths by the paths that the Machine knows."""
    (private / "tmp").mkdir()
    modes = {file["guest_path"]: file.get("mode") for file in machine.config.get("files") or ()}
    real_paths = {}
    for path, content in machine.files.items():
        # Resolved as if the private folder were the root, above which there is nothing.
        inside = PurePosixPath(posixpath.normpath(f"/{path.lstrip('/')}")).relative_to("/")
        real = private / inside
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_bytes(content)
        real.chmod((modes[path] or 0o644) & 0o777)
        real_paths[path] = str(real)
    return real_paths


def _environment(
    private: Path, real_paths: Mapping[str, str], env: Mapping[str, str]
) -> dict[str, str]:
    # First the folder of this Python, so that `python` is found even without an active venv.
    here = str(Path(sys.executable).parent)
    return {
        "PATH": os.pathsep.join((here, os.environ.get("PATH", os.defpath))),
        "HOME": str(private),
        "TMPDIR": str(private / "tmp"),
        **{name: real_paths.get(value, value) for name, value in env.items()},
    }


def _refused(put: _Print, line: str, code: int) -> Exit:
    put("stderr", line)
    return Exit(code, error=line)
