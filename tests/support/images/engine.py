"""
Images and containers by buildah, without a daemon.

Its chroot isolation works inside most sandboxes; and so does its vfs storage, which copies a whole
filesystem for each step, where an overlay cannot be mounted. All is kept in a folder of our own.
buildah only builds. To run a container as an engine would is done by containers.py.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of how it is to be run."""

    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_folder: str
    stop_signal: str
    labels: Mapping[str, str]
    health: tuple[str, ...]
    """The health check's argv; empty without one."""


@dataclass(frozen=True, slots=True)
class Engine:
    """buildah, with its storage in `folder`; `buildah_in` makes one."""

    folder: Path
    storage: str
    """The storage driver: overlay or vfs."""

    def load(self, tar: Path, name: str) -> None:
        """Make an image of a root filesystem."""
        container = self._buildah("from", "scratch")
        self._buildah("add", "--quiet", container, str(tar), "/")
        self._buildah("commit", "--quiet", "--rm", container, name)

    def build(
        self,
        context: Path,
        name: str,
        *,
        base: str,
        arguments: Mapping[str, str] = {},
        mounts: Iterable[str] = (),
    ) -> ImageConfig:
        """
        Build the Dockerfile of a folder on another base.

        `base` is what the ARG BASE_IMAGE gets; a Dockerfile without one gets it as its first FROM.
        Raises BuildFailed with what the build has printed.
        """
        has_argument = "ARG BASE_IMAGE" in (context / "Dockerfile").read_text()
        chosen = ["--build-arg", f"BASE_IMAGE={base}"] if has_argument else ["--from", base]
        self._buildah(
            "build",
            "--isolation=chroot",
            "--format=docker",  # OCI's own format has no health check
            "--pull-never",
            *chosen,
            *(f"--build-arg={key}={value}" for key, value in arguments.items()),
            *(f"--volume={mount}" for mount in mounts),
            f"--tag={name}",
            str(context),
        )
        config = json.loads(self._buildah("inspect", "--type=image", name))["Docker"]["config"]
        return _config(config)

    def unpack(self, name: str) -> Path:
        """A new container's root filesystem; what is written there stays there."""
        container = self._buildah("from", "--pull-never", name)
        return Path(self._buildah("mount", container))

    def _buildah(self, command: str, *arguments: str) -> str:
        """Run buildah; what it prints on stdout. Raises BuildFailed."""
        storage = [
            f"--storage-driver={self.storage}",
            f"--root={self.folder}/root",
            f"--runroot={self.folder}/run",
        ]
        ran = _run(["buildah", *storage, command, *arguments])
        if ran.returncode != 0:
            raise BuildFailed(f"buildah {command} {' '.join(arguments)}\n{ran.stdout}{ran.stderr}")
        return ran.stdout.strip()


@contextmanager
def buildah_in(folder: Path) -> Iterator[Engine]:
    """An engine for as long as the block lasts; its mounts are gone afterwards."""
    engine = Engine(folder, "overlay" if _can_overlay(folder) else "vfs")
    try:
        yield engine
    finally:
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed([place for place in mounted if place.startswith(f"{folder}/")]):
            subprocess.run(["umount", place], check=True)  # noqa: S607 - wherever it is installed


def _can_overlay(folder: Path) -> bool:
    """Whether an overlay can be mounted there; tried in a mount namespace of its own."""
    below, above, work, place = (folder / name for name in ("below", "above", "work", "place"))
    for each in (below, above, work, place):
        each.mkdir(parents=True)
    options = f"lowerdir={below},upperdir={above},workdir={work}"
    mount = ["mount", "--types", "overlay", "overlay", "--options", options, str(place)]
    return _run(["unshare", "--mount", *mount]).returncode == 0


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


class BuildFailed(Exception):
    """buildah said no; the text is everything that it printed."""


def _config(raw: Mapping[str, Any]) -> ImageConfig:
    health = (raw.get("Healthcheck") or {}).get("Test") or []
    return ImageConfig(
        user=raw.get("User") or "",
        entrypoint=tuple(raw.get("Entrypoint") or ()),
        command=tuple(raw.get("Cmd") or ()),
        environment=dict(entry.split("=", 1) for entry in raw.get("Env") or ()),
        working_folder=raw.get("WorkingDir") or "/",
        stop_signal=raw.get("StopSignal") or "",
        labels=raw.get("Labels") or {},
        health=tuple(health[1:]) if health[:1] == ["CMD"] else (),
    )
