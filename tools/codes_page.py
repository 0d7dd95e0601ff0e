"""Write docs/codes.md from the catalogue of diagnostic codes."""

from collections.abc import Iterator

from lambdo_router.config.codes import Explanation, catalogue


def page() -> str:
    """Return the catalogue as a Markdown page."""
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
        yield f"{explanation.fix}\n"
        yield from _examples(explanation)


def _examples(explanation: Explanation) -> Iterator[str]:
    for word, text in (("Wrong", explanation.bad), ("Right", explanation.good)):
        if text:
            yield f"{word}:\n\n<!-- an example of {explanation.example} -->"
            yield f"```{explanation.language}\n{text}```\n"


_INTRODUCTION = """\
<!-- Generated from lambdo_router/config/codes.yaml by tools/codes_page.py -->

# Diagnostic codes

Every diagnostic that lambdo-router reports about a file ends with a code in brackets. Codes are
stable: scripts and comments may rely on them. `lambdo-router validate --explain-code CODE` prints
the entry for one code.

To ignore an intended warning, write `# lambdo: ignore=CODE` (or `CODE,CODE`; a reason may follow)
at the end of the line it points at, or alone on the line before. Errors cannot be ignored.
[`unused-ignore`](#unused-ignore) reports comments that no longer ignore anything, and
`validate --strict` treats the remaining warnings as errors.

The examples are fragments of a file; assume that the rest is correct.
"""


if __name__ == "__main__":
    print(page(), end="")
