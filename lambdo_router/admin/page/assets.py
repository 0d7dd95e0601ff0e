"""
What the page loads beside its HTML: a stylesheet, a script and two icons.

Their addresses hold a digest of their contents. So browsers keep them for good, and a page that is
open when the router is replaced by another version can tell that it has become old.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FILES: Final = ("page.css", "page.js", "icon.svg", "icon-failing.svg")
_HTML: Final = ("page.html", "route_card.html", "queue_card.html", "machine_card.html")
"""Templates that the script relies on."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All of them, by the last part of their address."""

    by_name: Mapping[str, Asset]
    style: str
    """Addresses, as the page spells them."""
    script: str
    icon: str
    icon_bad: str
    digest: str
    """Of everything that the page is made of."""


@cache
def assets() -> Assets:
    """Read from the package, once."""
    folder = files("lambdo_router.admin.page")
    contents = {name: (folder / "static" / name).read_bytes() for name in _FILES}
    templates = b"".join((folder / "html" / name).read_bytes() for name in _HTML)
    named = {name: _named(name, content) for name, content in contents.items()}
    return Assets(
        by_name={
            named[name]: Asset(content, _TYPES[name[name.rindex(".") :]])
            for name, content in contents.items()
        },
        style=f"/assets/{named['page.css']}",
        script=f"/assets/{named['page.js']}",
        icon=f"/assets/{named['icon.svg']}",
        icon_bad=f"/assets/{named['icon-failing.svg']}",
        digest=_digest(b"".join(contents.values()) + templates),
    )


def _named(name: str, content: bytes) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{_digest(content)}.{suffix}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
