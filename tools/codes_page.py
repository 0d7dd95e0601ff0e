"""docs/codes.md, made from the catalogue of diagnostic codes."""

from collections.abc import Iterator

from lambdo_router.config.codes import Explanation, catalogue


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
<!-- Made from lambdo_router/config/codes.yaml by tools/codes_page.py -->

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
    print(page(), end="")
