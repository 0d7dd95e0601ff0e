"""
How pip inside a build gets at its packages: by this machine's own configuration, mounted.

A Dockerfile names no index, and a build with a fresh /etc would know none but PyPI. Where this
machine's pip is told of another one, of a proxy or of a certificate, by whatever file or variable,
the same goes into one /etc/pip.conf, and with it the files and folders that it names. They are
mounted for the build, and so part of no image.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

_REACHING = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "cert",
    "client-cert",
    "proxy",
    "trusted-host",
    "timeout",
    "retries",
)
_SECTIONS = ("global", "install", ":env:")
"""Later ones win, as they do in pip."""


def pip_mounts(folder: Path) -> tuple[str, ...]:
    """
    What to mount so that pip in a container reaches what pip here does, as `SOURCE:TARGET:ro`.

    Writes a pip.conf into `folder`, which can hold a password and is readable by its owner only.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    settings = _settings(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    file = folder / "pip.conf"
    file.touch(mode=0o600)
    file.write_text(
        "[global]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    places = sorted({place for value in settings.values() for place in _places(value)})
    return (f"{file}:/etc/pip.conf:ro", *(f"{place}:{place}:ro" for place in places))


def _settings(listed: str) -> dict[str, str]:
    """`pip config list` as one section of settings, each value on one line."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listed.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.rpartition(".")
        if section in found and name in _REACHING:
            found[section][name] = " ".join(str(ast.literal_eval(value)).split())
    return {name: value for section in _SECTIONS for name, value in found[section].items()}


def _places(value: str) -> Iterator[Path]:
    """The files and folders of this machine that a setting names."""
    for word in value.split():
        url = urlsplit(word)
        if url.scheme == "file":
            folder = Path(url2pathname(url.path))
            # The pages of an index called `simple` lead to the files beside it.
            yield folder.parent if folder.name == "simple" else folder
        elif Path(word).is_absolute() and Path(word).exists():
            yield Path(word)
