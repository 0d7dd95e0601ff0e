"""
The catalogue of diagnostic codes, as `validate --explain-code` prints it.

The texts are in codes.yaml beside this file, grouped into sections. Every code has a title, its
severities, its meaning, a fix, and usually two examples: fragments of a routes file, or of a schema
or test file if `example` says so. Tests check the examples, and `make pages` writes docs/codes.md.
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
ONLINE = "Checks with AWS and Fly"
"""The section of codes that only `validate --online` and the startup of `run` report."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One code. `bad` and `good` are examples, empty if an example would not help."""

    code: str
    section: str
    title: str
    severities: tuple[Severity, ...]
    """The severities a diagnostic with this code can have."""
    means: str
    """Markdown, one line per paragraph."""
    fix: str
    """Markdown, like `means`."""
    bad: str
    good: str
    example: ExampleOf
    """The kind of file that the examples are from."""

    @property
    def language(self) -> str:
        """The language of the examples."""
        return "json" if self.example == "schema" else "yaml"

    @property
    def summary(self) -> str:
        """The title as a sentence."""
        return f"{self.title[0].upper()}{self.title[1:]}."


@cache
def catalogue() -> Mapping[str, Explanation]:
    """Return all codes, in the order of the page."""
    text = resources.files("lambdo_router.config").joinpath("codes.yaml").read_text("utf-8")
    sections = cast("dict[str, dict[str, Any]]", read_document(text, "codes.yaml").value)
    return {
        code: _explanation(section, code, entry)
        for section, entries in sections.items()
        for code, entry in entries.items()
    }


def likely(code: str) -> str:
    """Return a hint for a code that does not exist."""
    near = difflib.get_close_matches(code.lower(), catalogue(), n=1)
    if near:
        return f"did you mean `{near[0]}`?"
    return "codes appear in brackets at the end of a message, for example unused-queue"


_REQUIRED = {"title", "severity", "means", "fix"}
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
        fix=entry["fix"].strip().replace("\n", "\n\n"),
        bad=entry.get("bad", ""),
        good=entry.get("good", ""),
        example=cast("ExampleOf", entry.get("example", "routes")),
    )


_SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def explained(explanation: Explanation) -> str:
    """Return the explanation as text for a terminal, without a final line break."""
    blocks = [
        f"{explanation.code} ({' or '.join(explanation.severities)})",
        explanation.summary,
        *(_wrapped(text) for text in (explanation.means, explanation.fix)),
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
