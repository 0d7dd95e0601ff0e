"""
What each code of a diagnostic means: the catalogue behind `validate --explain-code`.

The texts lie in codes.yaml beside this file, in sections; every code has a title, its severities,
what it means and why that matters, how to mend it, and mostly two examples. Examples are parts of a
routes file (or of a schema or a test file, if `example` says so), and tests hold them to what they
claim. `make pages` writes the catalogue as a page, docs/codes.md.
"""

import difflib
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast, get_args

from lambdo_router.config.diagnostics import Severity
from lambdo_router.config.read.yaml_loader import read_document

ExampleOf = Literal["routes", "schema", "test"]
ONLINE = "What AWS and Fly say"
"""The section of what only `validate --online` and the start of `run` look at."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One code. `bad` and `good` are examples; empty where an example would show nothing."""

    code: str
    section: str
    title: str
    severities: tuple[Severity, ...]
    """What a diagnostic with this code can be."""
    means: str
    """Markdown, several paragraphs, each in one line."""
    mend: str
    """Markdown, as `means`."""
    bad: str
    good: str
    example: ExampleOf
    """What kind of file the examples are from."""

    @property
    def language(self) -> str:
        """Of the examples."""
        return "json" if self.example == "schema" else "yaml"

    @property
    def summary(self) -> str:
        """The title as a sentence."""
        return f"{self.title[0].upper()}{self.title[1:]}."


@cache
def catalogue() -> Mapping[str, Explanation]:
    """Every code that there is, in the order of the page."""
    text = resources.files("lambdo_router.config").joinpath("codes.yaml").read_text("utf-8")
    sections = cast("dict[str, dict[str, Any]]", read_document(text, "codes.yaml").value)
    return {
        code: _explanation(section, code, entry)
        for section, entries in sections.items()
        for code, entry in entries.items()
    }


def likely(code: str) -> str:
    """What to say after a code that is none."""
    near = difflib.get_close_matches(code.lower(), catalogue(), n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return "a code is what stands in brackets at the end of a message, such as unused-queue"


_REQUIRED = {"title", "severity", "means", "mend"}
_OPTIONAL = {"bad", "good", "example"}


def _explanation(section: str, code: str, entry: Mapping[str, str]) -> Explanation:
    keys = entry.keys()
    severities = tuple(entry.get("severity", "").split(" or "))
    if not _REQUIRED <= keys <= _REQUIRED | _OPTIONAL or not set(severities) <= {*_SEVERITIES}:
        raise ValueError(f"codes.yaml: {code} has {', '.join(keys)}")
    return Explanation(
        code=code,
        section=section,
        title=entry["title"],
        severities=cast("tuple[Severity, ...]", severities),
        means=entry["means"].strip().replace("\n", "\n\n"),
        mend=entry["mend"].strip().replace("\n", "\n\n"),
        bad=entry.get("bad", ""),
        good=entry.get("good", ""),
        example=cast("ExampleOf", entry.get("example", "routes")),
    )


_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def explained(explanation: Explanation) -> str:
    """The explanation for a terminal, without a line break at its end."""
    blocks = [
        f"{explanation.code} ({' or '.join(explanation.severities)})",
        explanation.summary,
        *(_wrapped(text) for text in (explanation.means, explanation.mend)),
    ]
    for word, text in (("Wrong:", explanation.bad), ("Right:", explanation.good)):
        if text:
            blocks.append(f"{word}\n\n{textwrap.indent(text.rstrip(), '    ')}")
    return "\n\n".join(blocks)


def _wrapped(text: str) -> str:
    return "\n\n".join(
        textwrap.fill(paragraph, 88, break_long_words=False, break_on_hyphens=False)
        for paragraph in text.split("\n\n")
    )
