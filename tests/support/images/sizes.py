"""How large a folder of an image is: unpacked, and as a registry stores it."""

import stat
import subprocess
from pathlib import Path

_MEGABYTE = 1_000_000


def unpacked(folder: Path) -> str:
    """The bytes of all files, links counted once, in MB."""
    states = (path.lstat() for path in folder.rglob("*"))
    sizes = {(s.st_dev, s.st_ino): s.st_size for s in states if not stat.S_ISDIR(s.st_mode)}
    return f"{sum(sizes.values()) / _MEGABYTE:.1f} MB"


def packed(folder: Path) -> str:
    """The bytes of the folder as a gzipped tar file, in MB."""
    ran = subprocess.run(
        ["tar", "--create", "--gzip", "--directory", str(folder.parent), folder.name],  # noqa: S607 - wherever it is installed
        check=True,
        capture_output=True,
    )
    return f"{len(ran.stdout) / _MEGABYTE:.1f} MB"
