"""
What each code of a diagnostic means: the catalogue behind `validate --explain-code`.

The texts lie in codes.yaml beside this file, in sections; every code has a title, its severities,
what it means and why that matters, how to mend it, and mostly two examples. Examples are parts of a
routes file (or of a schema or a test file, if `example` says so), and tests hold them to what they
claim. docs/codes.md is the catalogue as a page. After a change, write it anew:

    python -m lambdo_router.config.codes > docs/codes.md
"""

import difflib
import textwrap
from collections.abc import Iterator, Mapping
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


def page() -> str:
    """The catalogue as a page of Markdown."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield _INTRODUCTION
    section = ""
    for explanation in catalogue().values():
        if explanation.section != section:
            section = explanation.section
            yield f"## {section}\n"
        yield f"### `{explanation.code}`\n"
        yield f"*{' or '.join(explanation.severities)}*: {explanation.title}\n"
        yield f"{explanation.means}\n"
        yield f"{explanation.mend}\n"
        yield from _examples(explanation)


def _examples(explanation: Explanation) -> Iterator[str]:
    for word, text in (("Wrong", explanation.bad), ("Right", explanation.good)):
        if text:
            yield f"{word}:\n\n<!-- an example of {explanation.example} -->"
            yield f"```{explanation.language}\n{text}```\n"


_INTRODUCTION = """\
<!-- Made from lambdo_router/config/codes.yaml by python -m lambdo_router.config.codes -->

# Codes of diagnostics

Everything that lambdo-router has to say about a file ends with a code in brackets. Codes are
stable: scripts and comments may rely on them. `lambdo-router validate --explain-code CODE` prints
what this page says about one.

A warning that is meant to be can be ignored: `# lambdo: ignore=CODE` (or `CODE,CODE`, and a reason
may follow) at the end of the line that it points at, or alone on a line before it. An error cannot.
[`unused-ignore`](#unused-ignore) tells which of these comments have nothing to ignore any more, and
`validate --strict` makes errors of the warnings that are left.

The examples are parts of a file: what is not shown is as it should be.
"""


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - this is what it is for
