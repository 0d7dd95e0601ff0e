"""
Builds the images of this repository for real, and tries each: `make images`.

    PYTHONPATH=tests/support python -m images [--base FILE] [--only router|runtimes] [--required]

No container engine and no registry of images is needed, but root on a Debian with its packages
buildah and mmdebstrap. Where these are missing it says so, and ends well, unless they are required.
Takes one to three minutes. Half a minute of it makes the base, which --base keeps in a file.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from images.bases import make_base
from images.engine import BuildFailed, buildah_in
from images.findings import Findings, say
from images.registries import pip_mounts
from images.router_trial import try_router
from images.runtimes_trial import try_runtimes

_PROGRAMS = ("buildah", "mmdebstrap", "unshare", "mount", "apt-get", "tar")
_BASE = "localhost/lambdo-base"


def main() -> int:
    """Build and try what the command line asks for; the exit code."""
    arguments = _arguments()
    if missing := list(_missing()):
        say(f"The images cannot be tried here: {'; '.join(missing)}.")
        return 1 if arguments.required else 0
    findings = Findings()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lambdo-images-") as name:
        folder = Path(name)
        tar = arguments.base or folder / "base.tar"
        try:
            _try_all(tar, folder, arguments.only, findings)
        except BuildFailed as failure:
            say(str(failure))
            return 1
    findings.figure("all of this", f"{time.monotonic() - began:.0f} s")
    return findings.sum_up()


def _try_all(tar: Path, folder: Path, only: str | None, findings: Findings) -> None:
    if not tar.exists():
        say("base")
        make_base(tar, folder)
    with buildah_in(folder / "storage") as engine:
        engine.load(tar, _BASE)
        if only in (None, "router"):
            try_router(engine, _BASE, pip_mounts(folder), findings)
        if only in (None, "runtimes"):
            try_runtimes(engine, _BASE, findings)


def _missing() -> Iterator[str]:
    """What this machine lacks, one reason each."""
    try:
        system = platform.freedesktop_os_release().get("ID", "")
    except OSError:
        system = platform.system()
    if system != "debian":
        yield f"this is {system}, not Debian, which the base is made from"
    if os.geteuid() != 0:
        yield "only root can unpack a base and enter it"
    if absent := [program for program in _PROGRAMS if shutil.which(program) is None]:
        yield f"not on the PATH are {', '.join(absent)} (apt-get install buildah mmdebstrap)"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="images", description="Builds and tries the images.")
    parser.add_argument("--base", type=Path, help="keep the base in this tar file, or take it from")
    parser.add_argument("--only", choices=("router", "runtimes"), help="try no others")
    parser.add_argument("--required", action="store_true", help="fail where it cannot be done")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
