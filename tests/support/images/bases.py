"""
The image that the others are built on where no registry of images can be asked: Debian, unpacked.

`BASE_IMAGE` of each Dockerfile is an official image by default. Here it is a minimal Debian of the
release those images are made of, with its own Python, Node and PHP, by mmdebstrap: half a minute.
Packages come from where this machine gets them, whatever its apt is configured for.
"""

import platform
import subprocess
from pathlib import Path

RELEASE = "trixie"
"""Debian 13, with Node 20, PHP 8.4 and this Python:"""
PYTHON = "3.13"
_PACKAGES = ("ca-certificates", "python3", "python3-venv", "python3-pip", "nodejs", "php-cli")
_REACHING = ("Acquire::http", "Acquire::https", "Acquire::Check", "Acquire::Retries")
"""Settings of apt that decide whether it gets at its packages at all: proxies, certificates."""
_TARGETS = ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"]
_UNUSED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def make_base(tar: Path, folder: Path) -> None:
    """Write the base as a tar file; `folder` takes what is in between."""
    options = folder / "apt.conf"
    options.write_text(_reaching_packages(_output(["apt-config", "dump"])))
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(_PACKAGES)}",
        f"--aptopt={options}",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude={path}" for path in _UNUSED),
        RELEASE,
        str(tar),
        *_mirror(_output([*_TARGETS, "Created-By: Packages"])),
    ]
    subprocess.run(command, check=True)


def _reaching_packages(dump: str) -> str:
    """Those lines of `apt-config dump` that the apt in the base needs too."""
    return "".join(f"{line}\n" for line in dump.splitlines() if line.startswith(_REACHING))


def _mirror(targets: str) -> list[str]:
    """Where this machine gets its own release from: a mirror has all of them. Or none: Debian's."""
    own = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    found = (line.split() for line in targets.splitlines())
    return [uri for release, uri in found if release == own][:1]


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
