"""
Runs a process in an image's filesystem the way a hardened container engine would.

It gets the image's user, environment, working folder, entrypoint and command; the root filesystem
is read-only, the shells are gone, and there is no HOME. That is less than any engine gives, so what
works here works there. The network is this machine's, for the embedded servers are on its loopback.

All of it happens in a mount namespace of its own, which ends with the process; and each step is an
exec, so that the process that was started is the one that gets the signals.
"""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from images.engine import ImageConfig

_SHELLS = ("sh", "bash", "dash", "busybox")
_ENTER = """
set -e
root=$1 shells=$2
shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for shell in $shells; do mount --bind /dev/null "$root$shell"; done
mount -o remount,bind,ro "$root"
exec unshare --root="$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """One root filesystem and how its image is run."""

    root: Path
    config: ImageConfig

    def argv(self, *arguments: str, entrypoint: tuple[str, ...] | None = None) -> list[str]:
        """
        What to start on this machine, to start the entrypoint in there.

        The arguments take the place of the image's command, as with any engine. The environment is
        that of `environment`. Needs root.
        """
        chosen = self.config.entrypoint if entrypoint is None else entrypoint
        user, _, group = self.config.user.partition(":")
        return [
            _path_of("unshare"),
            "--mount",
            _path_of("sh"),
            "-c",
            _ENTER,
            "enter",
            str(self.root),
            " ".join(self._shells()),
            f"--wd={self.config.working_folder}",
            f"--setuid={user}",
            f"--setgid={group}",
            "--",
            *chosen,
            *(arguments or (() if entrypoint else self.config.command)),
        ]

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The image's environment and what is given, and nothing else: no HOME either."""
        return {**self.config.environment, **given}

    def run(
        self,
        *arguments: str,
        given: Mapping[str, str] = {},
        entrypoint: tuple[str, ...] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, a minute at most; stdout and stderr come back as text."""
        return subprocess.run(
            self.argv(*arguments, entrypoint=entrypoint),
            env=self.environment(given),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def put(self, path: str, content: str | bytes) -> None:
        """Write a file, owned by root and readable by all, as Fly and mounts of engines do."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o644)

    def _shells(self) -> Iterator[str]:
        """The shells in there; links, such as sh mostly is, lead to one that is none."""
        for name in ("bin", "usr/bin"):
            folder = self.root / name
            if not folder.is_symlink():
                found = (folder / shell for shell in _SHELLS)
                yield from (
                    f"/{name}/{s.name}" for s in found if s.is_file() and not s.is_symlink()
                )


def _path_of(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"{program} is not on the PATH of this machine")
    return found
