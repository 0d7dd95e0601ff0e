"""Reads the lock files: what is pinned, with which hashes, and where it is to be installed."""

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock file."""

    name: str
    """In its canonical form, such as `markdown-it-py`."""
    version: str
    marker: Marker | None
    hashes: tuple[str, ...]


def read_lock(file: Path) -> tuple[Pin, ...]:
    """All pins of a lock file. ValueError for a line that is none."""
    joined = file.read_text().replace("\\\n", " ")
    lines = (line.partition("# ")[0].strip() for line in joined.splitlines())
    return tuple(_pin(line) for line in lines if line)


def _pin(line: str) -> Pin:
    requirement = Requirement(line.partition("--hash")[0].strip())
    version = re.fullmatch(r"==([^,*]+)", str(requirement.specifier))
    if version is None:
        raise ValueError(f"{line.split(maxsplit=1)[0]} is no pin; write NAME==VERSION")
    return Pin(
        canonicalize_name(requirement.name),
        version[1],
        requirement.marker,
        tuple(_HASH.findall(line)),
    )


def pinned(file: Path, python: str) -> dict[str, str]:
    """What a lock file installs on Linux with a Python such as `3.13`: names with versions."""
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return {
        pin.name: pin.version
        for pin in read_lock(file)
        if pin.marker is None or pin.marker.evaluate(environment)
    }
