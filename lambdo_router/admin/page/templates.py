"""
The page's HTML: Jinja templates, which escape whatever is put into them.

Every text that comes from a sender, from Fly or from the routes file goes through here. There is
no way around the escaping: no template uses `safe`, only what was rendered here is `Html`, and a
name that is not given is an error.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lambdo_router.admin.page import wording

_FILTERS = (
    wording.bars,
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


class Html(str):
    """Text that is HTML already, and is put into a template as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def render(template: str, values: Mapping[str, Any]) -> Html:
    """
    One template of the folder `html`, by its name without `.html`.

    Raises jinja2.UndefinedError for a value that the template asks for and does not get.
    """
    return Html(_templates().get_template(f"{template}.html").render(values))


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("lambdo_router.admin.page", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({function.__name__: function for function in _FILTERS})
    return made
