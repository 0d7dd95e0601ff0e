"""
The page's HTML, made by Jinja templates, and the files that it loads.

Every text from a sender, from Fly or from the routes file goes through here and is escaped: no
template uses `safe`, only what was rendered here is `Html`, and a missing value is an error.

The addresses of stylesheet, script and icons contain a digest of their contents. So browsers may
keep them for ever, and an open page notices that the router was replaced by another version.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from lambdo_router.admin.page import wording

if TYPE_CHECKING:  # imported where it is used: most routers are never looked at
    from jinja2 import Environment

_PACKAGE: Final = "lambdo_router.admin.page"
_FILTERS: Final = (
    wording.bars,
    wording.batch_state,
    wording.counted,
    wording.duration,
    wording.iso,
    wording.moment,
    wording.number,
    wording.size,
    wording.state_word,
    wording.tally,
    wording.tone,
)
_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ASSETS: Final = ("page.css", "page.js", "icon.svg", "icon-failing.svg")
_HTML: Final = ("page.html", "route_card.html", "queue_card.html", "machine_card.html")
"""Templates that the script relies on."""


class Html(str):
    """Text that is HTML already, which templates insert as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def render(template: str, values: Mapping[str, Any]) -> Html:
    """
    Render a template of the folder `html`, named without `.html`.

    Raises jinja2.UndefinedError for a value that is missing.
    """
    return Html(_templates().get_template(f"{template}.html").render(values))


@cache
def _templates() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader(_PACKAGE, "html"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({function.__name__: function for function in _FILTERS})
    return made


@dataclass(frozen=True, slots=True)
class Assets:
    """The files that the page loads: content and media type by the last part of the address."""

    by_name: Mapping[str, tuple[bytes, str]]
    style: str
    """Addresses, as the page spells them."""
    script: str
    icon: str
    icon_bad: str
    digest: str
    """Of everything that the page is made of."""


@cache
def assets() -> Assets:
    """Return them, read from the package once."""
    contents = {name: (files(_PACKAGE) / "static" / name).read_bytes() for name in _ASSETS}
    by_name = {}
    for name, content in contents.items():
        stem, _, suffix = name.rpartition(".")
        by_name[f"{stem}.{_digest(content)}.{suffix}"] = content, _TYPES[f".{suffix}"]
    templates = b"".join((files(_PACKAGE) / "html" / name).read_bytes() for name in _HTML)
    style, script, icon, icon_bad = (f"/assets/{name}" for name in by_name)
    digest = _digest(b"".join(contents.values()) + templates)
    return Assets(by_name, style, script, icon, icon_bad, digest)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]
